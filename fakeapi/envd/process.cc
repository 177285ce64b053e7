#include "fakeapi/envd/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "emulator/base/async.h"
#include "fakeapi/envd/utf8_boundary.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using http::ConnectCode;
using http::rpc_fail;
using http::RpcStatus;

namespace {

constexpr std::size_t kPipeChunk = 32U << 10U;
constexpr std::size_t kPtyChunk = 16U << 10U;
constexpr int kReadsPerTurn = 8;  // then the loop gets to run something else
constexpr auto kCharacterWait = std::chrono::milliseconds(4);

asio::posix::stream_descriptor adopt(const asio::any_io_executor& executor, base::UniqueFd& fd) {
  asio::posix::stream_descriptor descriptor(executor);
  if (!fd) return descriptor;
  boost::system::error_code error;
  descriptor.assign(fd.get(), error);
  if (error) return descriptor;
  [[maybe_unused]] int given = fd.release();
  descriptor.native_non_blocking(true, error);
  return descriptor;
}

}  // namespace

Process::Process(asio::any_io_executor executor,
                 ::process::ProcessInfo info,
                 LaunchedChild child,
                 std::span<char> scratch)
    : executor_(std::move(executor)),
      info_(std::move(info)),
      pid_(child.pid),
      has_pty_(static_cast<bool>(child.pty_master)),
      scratch_(scratch),
      stdin_(adopt(executor_, child.stdin_write)),
      stdout_(adopt(executor_, child.stdout_read)),
      stderr_(adopt(executor_, child.stderr_read)),
      pty_(adopt(executor_, child.pty_master)),
      input_turn_(executor_, asio::steady_timer::time_point::max()),
      limit_(executor_),
      output_(executor_) {}

void Process::run(base::TaskGroup& tasks, std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  pumps_ = has_pty_ ? 1 : 2;
  if (has_pty_) {
    tasks.spawn("pty output", pump(shared_from_this(), OutputKind::kPty));
  } else {
    tasks.spawn("stdout", pump(shared_from_this(), OutputKind::kStdout));
    tasks.spawn("stderr", pump(shared_from_this(), OutputKind::kStderr));
  }
}

void Process::set_time_limit(std::chrono::steady_clock::duration limit) {
  // The timer goes with this object, and its call with the timer.
  auto kill = [this] {
    if (ended_) return;
    timed_out_ = true;
    [[maybe_unused]] auto sent = send_signal(SIGKILL);
    output_.notify();
  };
  limit_.start(limit, std::move(kill));
}

void Process::reaped(int wait_status) {
  reaped_ = true;
  report_ = exit_report(wait_status);
  if (kill_requested_) {
    draining_ = true;
    boost::system::error_code ignored;
    for (Descriptor* from : {&stdout_, &stderr_, &pty_}) {
      if (from->is_open()) from->cancel(ignored);
    }
  }
  maybe_end();
}

void Process::maybe_end() {
  if (ended_ || !reaped_ || pumps_ > 0) return;
  ended_ = true;
  boost::system::error_code ignored;
  limit_.cancel();
  stdin_.close(ignored);
  pty_.close(ignored);
  input_turn_.cancel();
  if (on_end_) std::exchange(on_end_, nullptr)();
  output_.notify();
}

Process::Descriptor& Process::descriptor(OutputKind kind) {
  if (kind == OutputKind::kPty) return pty_;
  return kind == OutputKind::kStdout ? stdout_ : stderr_;
}

asio::awaitable<void> Process::pump(std::shared_ptr<Process> self, OutputKind kind) {
  Descriptor& from = self->descriptor(kind);
  co_await pump_bytes(*self, from, kind);
  boost::system::error_code ignored;
  if (kind != OutputKind::kPty) from.close(ignored);
  --self->pumps_;
  self->maybe_end();
}

asio::awaitable<bool> Process::wait_readable(Descriptor& from, bool held) {
  if (!held) {
    co_await from.async_wait(Descriptor::wait_read, base::kUse);
    co_return true;
  }
  using asio::experimental::awaitable_operators::operator||;
  asio::steady_timer timer(from.get_executor(), kCharacterWait);
  auto raced =
      co_await (from.async_wait(Descriptor::wait_read, base::kUse) || timer.async_wait(base::kUse));
  co_return raced.index() == 0;
}

asio::awaitable<void> Process::pump_bytes(Process& self, Descriptor& from, OutputKind kind) {
  const std::size_t limit = kind == OutputKind::kPty ? kPtyChunk : kPipeChunk;
  std::string held;  // the beginning of a character whose rest has not come yet
  int reads = 0;
  std::size_t drain_left = 0;
  bool draining = false;
  while (from.is_open()) {
    if (self.draining_ && !draining) {
      draining = true;
      int waiting = 0;
      if (::ioctl(from.native_handle(), FIONREAD, &waiting) == 0 && waiting > 0) {
        drain_left = static_cast<std::size_t>(waiting);
      }
    }
    if (draining && drain_left == 0) break;
    std::memcpy(self.scratch_.data(), held.data(), held.size());
    ssize_t count =
        ::read(from.native_handle(), self.scratch_.data() + held.size(), limit - held.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      if (draining) break;
      bool more = co_await wait_readable(from, !held.empty());
      if (!more && !held.empty()) {
        auto late = std::make_shared<const std::string>(std::move(held));
        held.clear();
        OutputEvent rest;
        rest.kind = kind;
        rest.bytes = std::move(late);
        co_await self.output_.publish(std::move(rest));
      }
      continue;
    }
    if (count <= 0) break;  // end of file; EIO is a terminal's
    auto got = static_cast<std::size_t>(count);
    if (draining) drain_left -= std::min(drain_left, got);
    if (self.output_.has_subscribers()) {
      std::string_view bytes(self.scratch_.data(), held.size() + got);
      std::size_t tail = incomplete_tail(bytes);
      OutputEvent event;
      event.kind = kind;
      event.bytes = std::make_shared<const std::string>(bytes.substr(0, bytes.size() - tail));
      held.assign(bytes.substr(bytes.size() - tail));
      if (!event.bytes->empty()) co_await self.output_.publish(std::move(event));
    } else {
      held.clear();
    }
    if (++reads % kReadsPerTurn == 0) co_await asio::post(from.get_executor(), asio::use_awaitable);
  }
  if (held.empty()) co_return;
  OutputEvent rest;
  rest.kind = kind;
  rest.bytes = std::make_shared<const std::string>(std::move(held));
  co_await self.output_.publish(std::move(rest));
}

RpcStatus Process::send_signal(int number) {
  if (reaped_) {
    return rpc_fail(ConnectCode::kInternal, "error sending signal: os: process already finished");
  }
  kill_requested_ = true;
  if (::kill(pid_, number) == 0) return {};
  if (errno == ESRCH) {
    return rpc_fail(ConnectCode::kInternal, "error sending signal: os: process already finished");
  }
  return rpc_fail(ConnectCode::kInternal, "error sending signal: " + errno_words(errno));
}

asio::awaitable<void> Process::wait_until_gone(std::shared_ptr<Process> self) {
  for (int step = 0; step < 50 && !self->reaped_; ++step) {
    co_await base::sleep_for(std::chrono::milliseconds(1));
  }
}

RpcStatus Process::resize(WindowSize size) {
  if (!has_pty_) {
    return rpc_fail(ConnectCode::kInternal, "error resizing tty: tty not assigned to process");
  }
  auto resized = resize_pty(pty_.native_handle(), size);
  if (resized) return {};
  return rpc_fail(ConnectCode::kInternal, "error resizing tty: " + resized.error().message());
}

RpcStatus Process::close_stdin() {
  if (has_pty_) {
    return rpc_fail(
        ConnectCode::kUnknown,
        "error closing stdin: cannot close stdin for PTY process — send Ctrl+D (0x04) instead");
  }
  boost::system::error_code ignored;
  stdin_.close(ignored);
  return {};
}

// A place in the queue of those who write to a process, given up however the writing ends: one that
// is cancelled must not hold up the others.
class Process::InputTurn {
 public:
  explicit InputTurn(Process& process) : process_(process) {
    process_.input_queue_.push_back(this);
  }
  InputTurn(const InputTurn&) = delete;
  InputTurn& operator=(const InputTurn&) = delete;
  ~InputTurn() {
    std::erase(process_.input_queue_, this);
    process_.input_turn_.cancel();
  }
  bool is_first() const { return process_.input_queue_.front() == this; }

 private:
  Process& process_;
};

asio::awaitable<RpcStatus> Process::write_stdin(std::shared_ptr<Process> self, std::string bytes) {
  if (self->has_pty_) {
    co_return rpc_fail(
        ConnectCode::kInternal,
        "error writing to stdin: tty assigned to process — input should be written to the "
        "pty, not the stdin");
  }
  if (!self->stdin_.is_open()) {
    co_return rpc_fail(ConnectCode::kInternal,
                       "error writing to stdin: stdin not enabled or closed");
  }
  Descriptor& to = self->stdin_;
  co_return co_await write_input(std::move(self), to, std::move(bytes), "stdin");
}

asio::awaitable<RpcStatus> Process::write_pty(std::shared_ptr<Process> self, std::string bytes) {
  if (!self->has_pty_) {
    co_return rpc_fail(
        ConnectCode::kInternal,
        "error writing to tty: tty not assigned to process — input should be written to the "
        "stdin, not the tty");
  }
  Descriptor& to = self->pty_;
  co_return co_await write_input(std::move(self), to, std::move(bytes), "tty");
}

asio::awaitable<RpcStatus> Process::write_input(std::shared_ptr<Process> self,
                                                Descriptor& to,
                                                std::string bytes,
                                                std::string_view what) {
  InputTurn turn(*self);
  while (!turn.is_first()) co_await self->input_turn_.async_wait(base::kUse);
  const std::string failed = "error writing to " + std::string(what) + ": ";
  std::string_view rest = bytes;
  while (!rest.empty()) {
    // Closed by CloseStdin or by the end of the process, perhaps while this waited.
    if (!to.is_open()) {
      co_return rpc_fail(ConnectCode::kInternal, failed + "stdin not enabled or closed");
    }
    ssize_t count = ::write(to.native_handle(), rest.data(), rest.size());
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      co_await to.async_wait(Descriptor::wait_write, base::kUse);
    } else if (errno != EINTR) {
      co_return rpc_fail(ConnectCode::kInternal, failed + "write: " + errno_words(errno));
    }
  }
  co_return RpcStatus();
}

}  // namespace fakeapi::envd
