// The processes that were started through the daemon: by pid and by tag, the living ones and, for
// 30 seconds, those that have ended (contract-envd 2.5). Reaps every child of this process, orphans
// of a sandbox's pid 1 included.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "emulator/base/task_group.h"
#include "fakeapi/envd/process.h"

namespace fakeapi::envd {

class ProcessTable {
 public:
  ProcessTable(boost::asio::any_io_executor executor, OomScore oom_score);

  // Launches and registers; the output pumps do not run before run(), so that the caller can
  // subscribe first.
  base::Result<std::shared_ptr<Process>> start(const LaunchRequest& request,
                                               ::process::ProcessInfo info);
  void run(const std::shared_ptr<Process>& process);

  // Null when there is none. `ended_too` also finds what has ended less than 30 seconds ago.
  std::shared_ptr<Process> find(pid_t pid, bool ended_too = false);
  std::shared_ptr<Process> find_tag(std::string_view tag, bool ended_too = false);
  // The living ones, by pid.
  std::vector<std::shared_ptr<Process>> list() const;

  // waitpid(2) until nobody is left to wait for: call on SIGCHLD.
  void reap();
  // SIGKILL to all of them; for the end of an agent that is not a pid 1.
  void kill_all();
  base::TaskGroup& tasks() { return tasks_; }
  const boost::asio::any_io_executor& executor() const { return executor_; }

 private:
  struct Ended {
    std::shared_ptr<Process> process;
    SteadyTime forget_at;
  };
  void on_end(const Process& process);
  void forget_old();

  boost::asio::any_io_executor executor_;
  base::TaskGroup tasks_;
  OomScore oom_score_;
  std::unique_ptr<char[]> scratch_;
  std::map<pid_t, std::shared_ptr<Process>> live_;
  std::vector<Ended> ended_;  // oldest first
};

}  // namespace fakeapi::envd
