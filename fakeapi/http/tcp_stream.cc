#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "fakeapi/http/byte_stream.h"

namespace fakeapi::http {

namespace asio = boost::asio;
using base::kUse;

namespace {

base::Error stream_error(const boost::system::error_code& error) {
  auto code =
      error == asio::error::operation_aborted ? base::Errc::kCanceled : base::Errc::kUnavailable;
  return {code, "connection: " + error.message(), error.value()};
}

class TcpStream final : public ByteStream {
 public:
  explicit TcpStream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  }

  base::Task<std::size_t> read_some(std::span<char> into) override {
    // Asio waits for the next edge after a short read, and behind the end there is none: a second
    // read would never return.
    if (ended_) co_return 0;
    auto buffer = asio::buffer(into.data(), into.size());
    auto [error, count] = co_await socket_.async_read_some(buffer, kUse);
    if (error && error != asio::error::operation_aborted) ended_ = true;
    if (error == asio::error::eof) co_return 0;
    if (error) co_return base::fail(stream_error(error));
    co_return count;
  }

  base::Task<> write_all(std::string_view first, std::string_view second) override {
    std::array<asio::const_buffer, 2> buffers = {asio::buffer(first), asio::buffer(second)};
    auto [error, count] = co_await asio::async_write(socket_, buffers, kUse);
    if (error) co_return base::fail(stream_error(error));
    co_return base::Result<>();
  }

  base::Task<> shutdown_write() override {
    boost::system::error_code error;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    if (error) co_return base::fail(stream_error(error));
    co_return base::Result<>();
  }

  void close(bool reset) override {
    boost::system::error_code ignored;
    if (reset) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
  }

  asio::any_io_executor executor() override { return socket_.get_executor(); }
  asio::ip::tcp::socket* raw_socket() override { return &socket_; }

 private:
  asio::ip::tcp::socket socket_;
  bool ended_ = false;  // reading came to the end, or failed
};

}  // namespace

std::unique_ptr<ByteStream> make_tcp_stream(asio::ip::tcp::socket socket) {
  return std::make_unique<TcpStream>(std::move(socket));
}

}  // namespace fakeapi::http
