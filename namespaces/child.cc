#include "namespaces/child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace namespaces {

namespace {

[[noreturn]] void give_up(int control_fd, FailedStep step) {
  char line[160];
  int size = std::snprintf(line, sizeof line, "failed: %s: errno %d", step, errno);
  if (size > 0) ::send(control_fd, line, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  ::_exit(1);
}

FailedStep enter_own_session() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::setsid() < 0) return "setsid";
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return "parent death signal";
  return nullptr;
}

// Version 1 cgroups. A thread that moves itself by writing 0 to `tasks` skips the lock whose grace
// period makes a write of `cgroup.procs` wait 8-14 ms (performance.md 1.2, 2.4).
FailedStep join_cgroups(const ChildPlan& plan) {
  for (std::size_t i = 0; i < plan.task_count; ++i) {
    if (::write(plan.task_fds[i], "0", 1) != 1) return "join cgroup";
  }
  // After the move, so that the sandbox sees its own cgroups as "/".
  return ::unshare(CLONE_NEWCGROUP) == 0 ? nullptr : "cgroup namespace";
}

FailedStep wait_for_go(int go_fd) {
  std::uint64_t value = 0;
  ssize_t count = 0;
  do {
    count = ::read(go_fd, &value, sizeof value);
  } while (count < 0 && errno == EINTR);
  return count == sizeof value ? nullptr : "wait for go";
}

FailedStep prepare(const ChildPlan& plan) {
  if (FailedStep failed = enter_own_session()) return failed;
  if (FailedStep failed = join_cgroups(plan)) return failed;
  if (FailedStep failed = wait_for_go(plan.go_fd)) return failed;
  if (FailedStep failed = become_root_inside()) return failed;
  // A change of uid clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return "parent death signal";
  std::size_t length = std::strlen(plan.hostname);
  if (length > 0 && ::sethostname(plan.hostname, length) != 0) return "sethostname";
  return enter_new_root(plan.mounts, *plan.paths);
}

FailedStep finish(const ChildPlan& plan) {
  if (FailedStep failed = drop_capabilities()) return failed;
  return hide_past(plan.arguments);
}

}  // namespace

void run_child(const ChildPlan& plan) {
  // While this still is the machine's root, which owns the file of a process that is not dumpable.
  int oom_score_fd = ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (FailedStep failed = prepare(plan)) give_up(plan.control_fd, failed);
  if (FailedStep failed = settle_descriptors(plan.control_fd, oom_score_fd)) {
    give_up(plan.control_fd, failed);
  }
  if (FailedStep failed = finish(plan)) give_up(kControlFd, failed);
  ::_exit(plan.agent(kControlFd, oom_score_fd < 0 ? -1 : kOomScoreFd));
}

}  // namespace namespaces
