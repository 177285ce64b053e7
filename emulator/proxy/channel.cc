#include "emulator/proxy/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "emulator/base/async.h"

namespace emulator::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Errc;
using base::kUse;

namespace {

constexpr std::size_t kFirstChunk = 8U << 10U;
constexpr std::size_t kLargestChunk = 256U << 10U;

}  // namespace

void Channel::Buffer::append(std::string_view more, std::unique_ptr<char[]>& retired) {
  if (end + more.size() > capacity) {
    std::size_t held = size();
    std::size_t wanted = std::max(kFirstChunk, (held + more.size()) * 2);
    auto grown = std::make_unique_for_overwrite<char[]>(wanted);
    if (held > 0) std::memcpy(grown.get(), bytes.get() + begin, held);
    retired = std::exchange(bytes, std::move(grown));
    capacity = wanted;
    begin = 0;
    end = held;
  }
  std::memcpy(bytes.get() + end, more.data(), more.size());
  end += more.size();
}

Channel::Channel(tcp::socket socket) : socket_(std::move(socket)), chunk_(kFirstChunk) {
  boost::system::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
}

Channel::~Channel() = default;

void Channel::consume(std::size_t count) {
  ready_.begin += count;
  if (ready_.begin == ready_.end) ready_.begin = ready_.end = 0;
}

void Channel::unread(std::string_view bytes) {
  if (bytes.empty()) return;
  std::string both(bytes);
  both.append(data());
  ready_.begin = ready_.end = 0;
  ready_.append(both, retired_);
}

void Channel::start_read() {
  if (reading_ || ended_) return;
  if (!socket_.is_open()) return end_reading(false, false);
  if (incoming_.capacity < chunk_) {
    incoming_.bytes = std::make_unique_for_overwrite<char[]>(chunk_);
    incoming_.capacity = chunk_;
  }
  reading_ = true;
  auto done = [self = shared_from_this()](const boost::system::error_code& error,
                                          std::size_t count) { self->read_done(error, count); };
  socket_.async_read_some(asio::buffer(incoming_.bytes.get(), incoming_.capacity), std::move(done));
}

void Channel::read_done(const boost::system::error_code& error, std::size_t count) {
  reading_ = false;
  if (error) {
    bool by_peer = error == asio::error::eof;
    end_reading(by_peer && (!tls_ || tls_->closed_by_peer()), by_peer);
  } else if (!take_received(count)) {
    if (!ended_) return start_read();
  }
  if (waiter_) {
    wake();
  } else if (ended_ && on_end_) {
    std::exchange(on_end_, nullptr)();
  }
}

bool Channel::take_received(std::size_t count) {
  // Bulk data: read more at a time.
  if (count == incoming_.capacity) chunk_ = std::min(kLargestChunk, incoming_.capacity * 4);
  if (!tls_) {
    if (ready_.size() == 0) {
      std::swap(ready_, incoming_);
      ready_.begin = 0;
      ready_.end = count;
    } else {
      ready_.append({incoming_.bytes.get(), count}, retired_);
    }
    return true;
  }
  tls_plain_.clear();
  bool shaking = !tls_->handshake_done();
  bool good = tls_->feed({incoming_.bytes.get(), count}, tls_plain_);
  if (!flush_tls()) good = false;
  if (!tls_plain_.empty()) ready_.append(tls_plain_, retired_);
  if (!good || tls_->closed_by_peer()) end_reading(good, good);
  // The end of the handshake wakes start_tls().
  return !tls_plain_.empty() || (shaking && tls_->handshake_done());
}

void Channel::end_reading(bool cleanly, bool by_peer) {
  ended_ = true;
  ended_cleanly_ = cleanly;
  ended_by_peer_ = by_peer;
}

void Channel::wake() {
  if (passing_) {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }
  if (!waiter_) return;
  Waiter waiter = std::move(*waiter_);
  waiter_.reset();
  std::move(waiter)();
}

asio::awaitable<void> Channel::more() {
  auto initiate = [](Waiter handler, Channel* self) {
    self->start_read();
    if (!self->reading_) {
      // Ended already: resume from the loop, never from inside the initiation.
      asio::post(self->socket_.get_executor(), std::move(handler));
      return;
    }
    auto slot = handler.get_cancellation_slot();
    if (slot.is_connected()) {
      slot.assign([self](asio::cancellation_type) { self->wake(); });
    }
    self->waiter_.emplace(std::move(handler));
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(initiate),
                                                                     asio::use_awaitable, this);
}

bool Channel::push() {
  while (!rest_first_.empty() || !rest_second_.empty()) {
    std::array<iovec, 2> parts = {
        iovec{const_cast<char*>(rest_first_.data()), rest_first_.size()},
        iovec{const_cast<char*>(rest_second_.data()), rest_second_.size()}};
    msghdr message{};
    message.msg_iov = rest_first_.empty() ? &parts[1] : parts.data();
    message.msg_iovlen = rest_first_.empty() || rest_second_.empty() ? 1 : 2;
    ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      broken_ = true;
      return false;
    }
    auto count = static_cast<std::size_t>(sent);
    std::size_t of_first = std::min(count, rest_first_.size());
    rest_first_.remove_prefix(of_first);
    rest_second_.remove_prefix(count - of_first);
  }
  return true;
}

// Sends what the TLS engine has produced, as far as the kernel takes it.
bool Channel::flush_tls() {
  tls_->take_output(tls_out_);
  std::string_view produced = tls_out_;
  rest_first_ = produced.substr(tls_sent_);
  rest_second_ = {};
  bool good = socket_.is_open() && push();
  tls_sent_ = tls_out_.size() - rest_first_.size();
  rest_first_ = {};
  if (tls_sent_ == tls_out_.size()) {
    tls_out_.clear();
    tls_sent_ = 0;
  }
  return good;
}

Channel::Sent Channel::send(std::string_view first, std::string_view second) {
  if (reset_on_send_) close(true);
  if (broken_ || !socket_.is_open()) return Sent::kBroken;
  if (tls_) {
    if (!tls_->encrypt(first) || !tls_->encrypt(second) || !flush_tls()) return Sent::kBroken;
    return tls_out_.empty() ? Sent::kAll : Sent::kPartly;
  }
  rest_first_ = first;
  rest_second_ = second;
  if (!push()) return Sent::kBroken;
  return rest_first_.empty() && rest_second_.empty() ? Sent::kAll : Sent::kPartly;
}

asio::awaitable<Channel::Sent> Channel::drain() {
  auto self = shared_from_this();
  for (;;) {
    auto [error] = co_await socket_.async_wait(tcp::socket::wait_write, kUse);
    if (error || broken_ || !socket_.is_open()) {
      broken_ = true;
      co_return Sent::kBroken;
    }
    if (!(tls_ ? flush_tls() : push())) co_return Sent::kBroken;
    bool all = tls_ ? tls_out_.empty() : rest_first_.empty() && rest_second_.empty();
    if (all) co_return Sent::kAll;
  }
}

bool Channel::can_pass_on(const Channel& to) const {
  return !tls_ && !to.tls_ && !reading_ && !ended_ && ready_.size() == 0 && socket_.is_open() &&
         !to.broken_;
}

asio::awaitable<base::Moved> Channel::pass_on(Channel& to,
                                              std::uint64_t limit,
                                              base::PipePool& pipes) {
  auto self = shared_from_this();
  auto target = to.shared_from_this();
  passing_ = true;
  base::Moved moved = co_await base::splice_some(socket_, to.socket_, limit, pipes);
  passing_ = false;
  using End = base::Moved::End;
  bool woken = moved.error == asio::error::operation_aborted && socket_.is_open();
  if (moved.end == End::kTargetFailed) to.broken_ = true;
  if (moved.end == End::kEndOfStream) end_reading(true, true);
  if (moved.end == End::kSourceFailed && !woken) end_reading(false, false);
  co_return moved;
}

asio::awaitable<bool> Channel::start_tls(const TlsContext& context) {
  tls_ = std::make_unique<TlsEngine>(context);
  co_return co_await shake_hands();
}

asio::awaitable<std::string> Channel::start_tls(const TlsClientContext& context,
                                                std::string server_name) {
  tls_ = std::make_unique<TlsEngine>(context, server_name);
  if (co_await shake_hands()) co_return "";
  std::string problem = tls_->certificate_problem();
  co_return problem.empty() ? "the handshake failed" : problem;
}

asio::awaitable<bool> Channel::shake_hands() {
  auto self = shared_from_this();
  std::string hello(data());
  consume(hello.size());
  tls_plain_.clear();
  bool good = tls_->feed(hello, tls_plain_);
  if (!flush_tls() || !good) co_return false;
  while (!tls_->handshake_done() && !ended_ && socket_.is_open()) co_await more();
  co_return tls_->handshake_done() && !broken_;
}

bool Channel::is_local() const {
  boost::system::error_code error;
  auto peer = socket_.remote_endpoint(error).address();
  if (error) return false;
  auto local = socket_.local_endpoint(error).address();
  if (error) return false;
  auto plain = [](const asio::ip::address& address) {
    return address.is_v6() && address.to_v6().is_v4_mapped()
               ? asio::ip::address(asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()))
               : address;
  };
  return plain(peer).is_loopback() || plain(peer) == plain(local);
}

void Channel::shrink() {
  chunk_ = kFirstChunk;
  retired_.reset();
  if (ready_.size() == 0 && ready_.capacity > kFirstChunk) ready_ = Buffer{};
  if (!reading_ && incoming_.capacity > kFirstChunk) incoming_ = Buffer{};
  if (tls_out_.empty() && tls_out_.capacity() > kLargestChunk / 4) tls_out_.shrink_to_fit();
  if (tls_plain_.capacity() > kLargestChunk / 4) std::string().swap(tls_plain_);
}

base::Task<std::size_t> Channel::read_some(std::span<char> into) {
  auto self = shared_from_this();
  if (data().empty() && !ended_) co_await more();
  if (data().empty()) {
    if (!ended_) co_return base::fail(Errc::kCanceled, "connection: read cancelled");
    if (ended_cleanly_) co_return 0U;
    co_return base::fail(Errc::kUnavailable, "connection: closed");
  }
  std::size_t count = std::min(into.size(), data().size());
  std::memcpy(into.data(), data().data(), count);
  consume(count);
  co_return count;
}

base::Task<> Channel::write_all(std::string_view first, std::string_view second) {
  auto self = shared_from_this();
  Sent sent = send(first, second);
  if (sent == Sent::kPartly) sent = co_await drain();
  if (sent == Sent::kBroken) co_return base::fail(Errc::kUnavailable, "connection: cannot write");
  co_return base::Result<>();
}

base::Task<> Channel::shutdown_write() {
  finish_writing();
  co_return base::Result<>();
}

void Channel::finish_writing(bool announced) {
  if (!socket_.is_open()) return;
  if (tls_ && announced) {
    tls_->close();
    flush_tls();
  }
  boost::system::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void Channel::close(bool reset) {
  if (!socket_.is_open()) return;
  boost::system::error_code ignored;
  if (reset) {
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  } else if (tls_) {
    tls_->close();
    flush_tls();
  }
  broken_ = true;
  socket_.close(ignored);
}

}  // namespace emulator::proxy
