// One process of the user's from its launch to the end of its output: input, signals, terminal
// size, the output pumps, and the rule for when it has ended (contract-envd 2.4, 2.5). Owned by
// process_table. Knows no RPC framing.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/task_group.h"
#include "fakeapi/envd/child_process.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/output_fanout.h"
#include "fakeapi/envd/running_timer.h"
#include "fakeapi/http/connect_frame.h"
#include "fakeapi/proto/process.pb.h"

namespace fakeapi::envd {

using SteadyTime = std::chrono::steady_clock::time_point;

class Process : public std::enable_shared_from_this<Process> {
 public:
  // `scratch` is shared by all processes: a read buffer that is only used between two suspensions.
  Process(boost::asio::any_io_executor executor,
          ::process::ProcessInfo info,
          LaunchedChild child,
          std::span<char> scratch);

  // Starts the output pumps in `tasks`. `on_end` runs once, when the process was reaped and its
  // output is over.
  void run(base::TaskGroup& tasks, std::function<void()> on_end);
  // SIGKILL to the process when it has run this long, whoever is still watching it. Time that
  // passes while the sandbox is frozen does not count.
  void set_time_limit(std::chrono::steady_clock::duration limit);
  // The table waited for it.
  void reaped(int wait_status);

  const ::process::ProcessInfo& info() const { return info_; }
  pid_t pid() const { return pid_; }
  bool ended() const { return ended_; }
  bool timed_out() const { return timed_out_; }
  const ExitReport& report() const { return report_; }
  OutputFanout& output() { return output_; }

  // SIGKILL or SIGTERM to this pid only.
  http::RpcStatus send_signal(int number);
  // Until it was reaped, but not for long: a process that sleeps uninterruptibly dies later.
  static boost::asio::awaitable<void> wait_until_gone(std::shared_ptr<Process> self);
  http::RpcStatus resize(WindowSize size);
  http::RpcStatus close_stdin();
  // Everything written, or an error; in call order. Waits while the pipe is full: until the process
  // has ended, or the caller cancels (what is in the pipe by then stays there).
  static boost::asio::awaitable<http::RpcStatus> write_stdin(std::shared_ptr<Process> self,
                                                             std::string bytes);
  static boost::asio::awaitable<http::RpcStatus> write_pty(std::shared_ptr<Process> self,
                                                           std::string bytes);

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  class InputTurn;

  static boost::asio::awaitable<void> pump(std::shared_ptr<Process> self, OutputKind kind);
  static boost::asio::awaitable<void> pump_bytes(Process& self, Descriptor& from, OutputKind kind);
  static boost::asio::awaitable<http::RpcStatus> write_input(std::shared_ptr<Process> self,
                                                             Descriptor& to,
                                                             std::string bytes,
                                                             std::string_view what);
  Descriptor& descriptor(OutputKind kind);
  // Waits for more output; with `held` bytes of an unfinished character only a few milliseconds.
  // False = waited in vain.
  static boost::asio::awaitable<bool> wait_readable(Descriptor& from, bool held);
  void maybe_end();

  boost::asio::any_io_executor executor_;
  ::process::ProcessInfo info_;
  pid_t pid_;
  bool has_pty_;
  std::span<char> scratch_;
  Descriptor stdin_;
  Descriptor stdout_;
  Descriptor stderr_;
  Descriptor pty_;
  std::deque<const InputTurn*> input_queue_;  // the first one writes
  boost::asio::steady_timer input_turn_;      // cancelled whenever the first one goes
  RunningTimer limit_;
  OutputFanout output_;
  std::function<void()> on_end_;
  ExitReport report_;
  int pumps_ = 0;
  bool reaped_ = false;
  bool kill_requested_ = false;  // by SendSignal or a deadline: the end does not wait for the pipes
  bool draining_ = false;        // killed and reaped: take what is there and stop
  bool timed_out_ = false;
  bool ended_ = false;
};

}  // namespace fakeapi::envd
