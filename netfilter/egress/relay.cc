#include "netfilter/egress/relay.h"

#include <limits>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"

namespace netfilter::egress {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Moved;

namespace {

// A stream that never runs dry gives way to the others after this many steps.
constexpr int kStepsPerTurn = 8;
// What a direction has carried before a pipe is worth its two descriptors.
constexpr std::uint64_t kSpliceAfter = 64U << 10U;

bool would_block(const boost::system::error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

// The step of splice_some (emulator/base/splice.h) by way of `scratch`.
asio::awaitable<Moved> copy_some(tcp::socket& from,
                                 tcp::socket& to,
                                 Scratch& scratch,
                                 std::chrono::steady_clock::time_point& activity) {
  Moved moved;
  std::size_t count = 0;
  for (;;) {
    count = from.read_some(asio::buffer(scratch), moved.error);
    if (!would_block(moved.error)) break;
    auto [failed] = co_await from.async_wait(tcp::socket::wait_read, base::kUse);
    moved.error = failed;
    if (failed) break;
  }
  activity = std::chrono::steady_clock::now();
  if (moved.error) {
    moved.end =
        moved.error == asio::error::eof ? Moved::End::kEndOfStream : Moved::End::kSourceFailed;
    co_return moved;
  }
  moved.count = to.write_some(asio::buffer(scratch.data(), count), moved.error);
  if (moved.count < count && (!moved.error || would_block(moved.error))) {
    // The slow side sets the pace: nothing more is read until this is gone.
    std::string rest(scratch.data() + moved.count, count - moved.count);
    auto [failed, written] = co_await asio::async_write(to, asio::buffer(rest), base::kUse);
    moved.error = failed;
    moved.count += written;
    activity = std::chrono::steady_clock::now();
  }
  if (moved.error) moved.end = Moved::End::kTargetFailed;
  co_return moved;
}

asio::awaitable<void> pump(Connection& connection,
                           tcp::socket& from,
                           tcp::socket& to,
                           std::uint64_t& total,
                           RelayBuffers& buffers) {
  for (int steps = 1;; ++steps) {
    Moved moved;
    moved.end = Moved::End::kNoPipe;
    if (total >= kSpliceAfter) {
      moved = co_await base::splice_some(from, to, std::numeric_limits<std::uint64_t>::max(),
                                         buffers.pipes, &connection.last_activity);
    }
    if (moved.end == Moved::End::kNoPipe) {
      moved = co_await copy_some(from, to, buffers.scratch, connection.last_activity);
    }
    total += moved.count;
    if (moved.end == Moved::End::kEndOfStream) {
      boost::system::error_code ignored;
      to.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
    if (moved.end != Moved::End::kOpen) {
      connection.cut(CloseReason::kReset);
      co_return;
    }
    if (steps % kStepsPerTurn == 0) co_await asio::post(base::kUse);
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
  if (on_cut) on_cut();
}

asio::awaitable<void> relay(Connection& connection, RelayBuffers& buffers) {
  using asio::experimental::awaitable_operators::operator&&;
  boost::system::error_code error;
  connection.client.non_blocking(true, error);
  connection.upstream.non_blocking(true, error);
  co_await (pump(connection, connection.client, connection.upstream, connection.sent, buffers) &&
            pump(connection, connection.upstream, connection.client, connection.received, buffers));
}

}  // namespace netfilter::egress
