#include "emulator/base/splice.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "emulator/base/async.h"
#include "emulator/base/posix.h"

namespace base {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Of a pipe; where the kernel refuses, its default does as well.
constexpr int kPipeSize = 256 << 10;
// Per step, so that neither the kernel's memory nor the other connections' patience runs out.
constexpr std::uint64_t kStep = 512U << 10U;
constexpr unsigned kFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

ssize_t move_bytes(int from, int to, std::size_t count, boost::system::error_code& error) {
  error.clear();
  for (;;) {
    ssize_t moved = ::splice(from, nullptr, to, nullptr, count, kFlags);
    if (moved >= 0) return moved;
    if (errno == EINTR) continue;
    error.assign(errno, boost::system::system_category());
    return 0;
  }
}

bool would_block(const boost::system::error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

Result<SplicePipe> SplicePipe::open() {
  SANDLOT_TRY(auto ends, make_pipe(O_NONBLOCK));
  (void)::fcntl(ends.second.get(), F_SETPIPE_SZ, kPipeSize);
  return SplicePipe(std::move(ends.first), std::move(ends.second));
}

std::size_t SplicePipe::fill(int socket, std::size_t limit, boost::system::error_code& error) {
  auto count = static_cast<std::size_t>(move_bytes(socket, in_.get(), limit, error));
  held_ += count;
  return count;
}

std::size_t SplicePipe::drain(int socket, boost::system::error_code& error) {
  std::size_t total = 0;
  while (held_ > 0) {
    auto count = static_cast<std::size_t>(move_bytes(out_.get(), socket, held_, error));
    if (count == 0) break;
    held_ -= count;
    total += count;
  }
  return total;
}

PipePool::PipePool(std::size_t most, std::size_t kept) : most_(most), kept_(kept) {
  std::signal(SIGPIPE, SIG_IGN);
}

PipePool::Lease PipePool::take() {
  Lease lease;
  if (leased_ >= most_) return lease;
  if (idle_.empty()) {
    auto pipe = SplicePipe::open();
    if (!pipe) return lease;
    lease.pipe_.push_back(std::move(*pipe));
  } else {
    lease.pipe_.push_back(std::move(idle_.back()));
    idle_.pop_back();
  }
  lease.pool_ = this;
  ++leased_;
  return lease;
}

PipePool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), pipe_(std::move(other.pipe_)) {}

PipePool::Lease& PipePool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = std::exchange(other.pool_, nullptr);
  pipe_ = std::move(other.pipe_);
  return *this;
}

void PipePool::Lease::release() {
  if (pool_ == nullptr) return;
  --pool_->leased_;
  if (pipe_.front().held() == 0 && pool_->idle_.size() < pool_->kept_) {
    pool_->idle_.push_back(std::move(pipe_.front()));
  }
  pipe_.clear();
  pool_ = nullptr;
}

asio::awaitable<Moved> splice_some(tcp::socket& from,
                                   tcp::socket& to,
                                   std::uint64_t limit,
                                   PipePool& pool,
                                   std::chrono::steady_clock::time_point* activity) {
  Moved moved;
  auto room = static_cast<std::size_t>(std::min(limit, kStep));
  auto active = [activity] {
    if (activity != nullptr) *activity = std::chrono::steady_clock::now();
  };
  PipePool::Lease pipe;
  for (;;) {
    if (!pipe) pipe = pool.take();
    if (!pipe) {
      moved.end = Moved::End::kNoPipe;
      co_return moved;
    }
    if (pipe->fill(from.native_handle(), room, moved.error) > 0) break;
    if (!moved.error) {
      moved.end = Moved::End::kEndOfStream;
      co_return moved;
    }
    if (would_block(moved.error)) {
      pipe.release();
      auto [failed] = co_await from.async_wait(tcp::socket::wait_read, kUse);
      moved.error = failed;
      if (!failed) continue;
    }
    moved.end = Moved::End::kSourceFailed;
    co_return moved;
  }
  active();
  for (;;) {
    moved.count += pipe->drain(to.native_handle(), moved.error);
    active();
    if (pipe->held() == 0) co_return moved;
    if (would_block(moved.error)) {
      auto [failed] = co_await to.async_wait(tcp::socket::wait_write, kUse);
      moved.error = failed;
      if (!failed) continue;
    }
    moved.end = Moved::End::kTargetFailed;
    co_return moved;
  }
}

}  // namespace base
