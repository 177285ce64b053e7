#include "emulator/fakenet/streams.h"

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"

namespace emulator::fakenet {

namespace asio = boost::asio;

namespace {

base::Failure broken(const boost::system::error_code& error) {
  auto code =
      error == asio::error::operation_aborted ? base::Errc::kCanceled : base::Errc::kUnavailable;
  return base::fail(base::Error(code, "connection: " + error.message(), error.value()));
}

}  // namespace

CountedStream::CountedStream(asio::ip::tcp::socket socket, const FarEnd& here, Canary& canary)
    : socket_(std::move(socket)), here_(here), canary_(canary) {
  boost::system::error_code error;
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  auto peer = socket_.remote_endpoint(error);
  if (!error) source_port_ = peer.port();
  canary_.accepted(here_, source_port_);
}

base::Task<std::size_t> CountedStream::read_some(std::span<char> into) {
  auto buffer = asio::buffer(into.data(), into.size());
  auto [error, count] = co_await socket_.async_read_some(buffer, base::kUse);
  if (count > 0) {
    std::string_view bytes(into.data(), count);
    canary_.received(here_, source_port_, bytes, first_);
    first_ = false;
  }
  if (error == asio::error::eof) co_return 0;
  if (error) co_return broken(error);
  co_return count;
}

base::Task<> CountedStream::write_all(std::string_view first, std::string_view second) {
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(first), asio::buffer(second)};
  auto [error, count] = co_await asio::async_write(socket_, buffers, base::kUse);
  if (error) co_return broken(error);
  co_return base::Result<>();
}

base::Task<> CountedStream::shutdown_write() {
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) co_return broken(error);
  co_return base::Result<>();
}

void CountedStream::close(bool reset) {
  boost::system::error_code ignored;
  if (reset) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

base::Task<std::size_t> TlsStream::read_some(std::span<char> into) {
  std::string bytes(16U << 10U, '\0');
  while (read_ == plain_.size()) {
    plain_.clear();
    read_ = 0;
    if (engine_.closed_by_peer()) co_return 0;
    SANDLOT_CO_TRY(std::size_t count, co_await below_.read_some(bytes));
    if (count == 0) co_return 0;
    bool good = engine_.feed(std::string_view(bytes).substr(0, count), plain_);
    SANDLOT_CO_CHECK(co_await flush());
    if (!good) co_return base::fail(base::Errc::kUnavailable, "TLS: broken by the client");
  }
  std::size_t taken = plain_.copy(into.data(), into.size(), read_);
  read_ += taken;
  co_return taken;
}

base::Task<> TlsStream::write_all(std::string_view first, std::string_view second) {
  if (!engine_.encrypt(first) || !engine_.encrypt(second))
    co_return base::fail(base::Errc::kUnavailable, "TLS: cannot send");
  co_return co_await flush();
}

base::Task<> TlsStream::shutdown_write() {
  engine_.close();
  SANDLOT_CO_CHECK(co_await flush());
  co_return co_await below_.shutdown_write();
}

base::Task<> TlsStream::flush() {
  std::string out;
  engine_.take_output(out);
  if (out.empty()) co_return base::Result<>();
  co_return co_await below_.write_all(out);
}

}  // namespace emulator::fakenet
