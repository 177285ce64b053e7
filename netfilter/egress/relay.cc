#include "netfilter/egress/relay.h"

#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"

namespace netfilter::egress {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// A stream that never runs dry gives way to the others after this many reads.
constexpr int kReadsPerTurn = 16;

bool would_block(const boost::system::error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

// Takes what `from` has into `scratch`; waits until there is something. 0 = end of file or `error`.
asio::awaitable<std::size_t> read_next(tcp::socket& from,
                                       Scratch& scratch,
                                       boost::system::error_code& error) {
  for (;;) {
    std::size_t count = from.read_some(asio::buffer(scratch), error);
    if (!would_block(error)) co_return count;
    auto [wait_error] = co_await from.async_wait(tcp::socket::wait_read, base::kUse);
    if (wait_error) {
      error = wait_error;
      co_return 0;
    }
  }
}

asio::awaitable<void> pump(Connection& connection,
                           tcp::socket& from,
                           tcp::socket& to,
                           std::uint64_t& total,
                           Scratch& scratch) {
  for (int reads = 1;; ++reads) {
    boost::system::error_code error;
    std::size_t count = co_await read_next(from, scratch, error);
    connection.last_activity = std::chrono::steady_clock::now();
    if (error == asio::error::eof) {
      to.shutdown(tcp::socket::shutdown_send, error);
      co_return;
    }
    std::size_t written = error ? 0 : to.write_some(asio::buffer(scratch.data(), count), error);
    if (error && !would_block(error)) {
      connection.cut(CloseReason::kReset);
      co_return;
    }
    total += count;
    if (written < count) {
      // The slow side sets the pace: nothing more is read until this is gone.
      std::string rest(scratch.data() + written, count - written);
      auto [write_error, ignored] = co_await asio::async_write(to, asio::buffer(rest), base::kUse);
      if (write_error) {
        connection.cut(CloseReason::kReset);
        co_return;
      }
      connection.last_activity = std::chrono::steady_clock::now();
    }
    if (reads % kReadsPerTurn == 0) co_await asio::post(base::kUse);
  }
}

void reset(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

}  // namespace

Connection::Connection(tcp::socket accepted)
    : client(std::move(accepted)),
      upstream(client.get_executor()),
      last_activity(std::chrono::steady_clock::now()) {}

void Connection::cut(CloseReason reason) {
  if (!is_cut) close_reason = reason;
  is_cut = true;
  reset(client);
  reset(upstream);
}

asio::awaitable<void> relay(Connection& connection, Scratch& scratch) {
  using asio::experimental::awaitable_operators::operator&&;
  boost::system::error_code error;
  connection.client.non_blocking(true, error);
  connection.upstream.non_blocking(true, error);
  co_await (pump(connection, connection.client, connection.upstream, connection.sent, scratch) &&
            pump(connection, connection.upstream, connection.client, connection.received, scratch));
}

}  // namespace netfilter::egress
