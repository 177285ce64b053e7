#include "fakeapi/envd/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "fakeapi/envd/descriptor_limit.h"

namespace fakeapi::envd {

using base::Errc;

namespace {

constexpr std::size_t kChildStack = 64U << 10U;
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr int kIoPriority = (2 << 13) | 4;  // best effort, level 4: what ionice -c 2 -n 4 sets

enum class Step { kNone, kCredentials, kTerminal, kDirectory };

// Everything the child needs, laid out before the clone: the child shares our memory and may not
// allocate.
struct ChildPlan {
  std::array<int, 3> streams{};
  bool terminal = false;
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  const char* cwd = nullptr;
  const char* const* candidates = nullptr;  // paths to try, null-terminated
  char** argv = nullptr;
  const char** shell_argv = nullptr;  // {"/bin/sh", <path>, argv[1]...}: for scripts without "#!"
  char** environment = nullptr;
  const char* name = nullptr;
  rlimit descriptors{};
  int score_file = -1;  // the agent's oom_score_adj, and what belongs there
  const char* score = nullptr;
  std::size_t score_size = 0;
  // Written by the child when it fails before the exec.
  Step failed = Step::kNone;
  int failed_errno = 0;
};

__attribute__((no_sanitize("address"))) int fail_at(ChildPlan& plan, Step step) {
  plan.failed = step;
  plan.failed_errno = errno;
  return 1;
}

// The kernel's own sigaction on x86-64 and arm64: the libc's refuses the two signals it keeps for
// itself (32 and 33), which a parent may have left ignored all the same.
struct KernelSigaction {
  void (*handler)(int) = SIG_DFL;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  std::uint64_t mask = 0;
};

// Signals as a fresh program expects them: nothing ignored, nothing blocked.
__attribute__((no_sanitize("address"))) void reset_signals() {
  KernelSigaction fresh;
  for (int number = 1; number <= 64; ++number) {  // SIGKILL and SIGSTOP refuse, as they should
    ::syscall(SYS_rt_sigaction, number, &fresh, nullptr, sizeof fresh.mask);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// nice 0, ordinary I/O priority (contract-envd 2.4). Best effort, before the credentials go.
__attribute__((no_sanitize("address"))) void set_priorities() {
  ::syscall(SYS_setpriority, 0, 0, 0);
  ::syscall(SYS_ioprio_set, 1, 0, kIoPriority);
}

// What the agent itself was started with, before it took all that it may have.
__attribute__((no_sanitize("address"))) void restore_limits(const ChildPlan& plan) {
  ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &plan.descriptors, nullptr);
}

__attribute__((no_sanitize("address"))) void write_text(const char* text) {
  [[maybe_unused]] auto written = ::syscall(SYS_write, 2, text, std::strlen(text));
}

__attribute__((no_sanitize("address"))) int exec_program(ChildPlan& plan) {
  int worst = ENOENT;
  for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
    ::execve(*path, plan.argv, plan.environment);
    if (errno == ENOEXEC) {
      plan.shell_argv[1] = *path;
      ::execve("/bin/sh", const_cast<char**>(plan.shell_argv), plan.environment);
    }
    if (errno != ENOENT && errno != ENOTDIR) worst = errno;
    if (worst != ENOENT && worst != EACCES) break;
  }
  // The words of the nice(1) that the real daemon puts in front of every command.
  write_text("/usr/bin/nice: '");
  write_text(plan.name);
  write_text("': ");
  const char* reason = ::strerrordesc_np(worst);
  write_text(reason != nullptr ? reason : "cannot execute");
  write_text("\n");
  return worst == ENOENT ? 127 : 126;
}

// Runs in the clone, on its own stack, in our memory: raw system calls only (the libc wrappers of
// the set*id family would try to tell other threads).
__attribute__((no_sanitize("address"))) int child_main(void* argument) {
  ChildPlan& plan = *static_cast<ChildPlan*>(argument);
  // First of all (oom_score.h). A child in a vfork keeps what it was born with.
  if (plan.score_file >= 0) {
    ::syscall(SYS_pwrite64, plan.score_file, plan.score, plan.score_size, 0L);
  }
  reset_signals();
  if (plan.terminal) {
    if (::syscall(SYS_setsid) < 0) return fail_at(plan, Step::kTerminal);
    if (::ioctl(plan.streams[0], TIOCSCTTY, 0) != 0) return fail_at(plan, Step::kTerminal);
  }
  for (int target = 0; target < 3; ++target) {
    // The sources are all above 2 (launch sees to it), so no dup2 overwrites one that is still
    // needed.
    if (::syscall(SYS_dup3, plan.streams[static_cast<std::size_t>(target)], target, 0) < 0) {
      return fail_at(plan, Step::kTerminal);
    }
  }
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  ::syscall(SYS_umask, 022);
  set_priorities();
  restore_limits(plan);
  if (::syscall(SYS_setgroups, plan.group_count, plan.groups) != 0 ||
      ::syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0 ||
      ::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) {
    return fail_at(plan, Step::kCredentials);
  }
  // After the credentials: the user needs the right to be there.
  if (::syscall(SYS_chdir, plan.cwd) != 0) return fail_at(plan, Step::kDirectory);
  return exec_program(plan);
}

std::string_view path_of(const std::vector<std::string>& environment) {
  for (const std::string& entry : environment) {
    if (entry.starts_with("PATH=")) return std::string_view(entry).substr(5);
  }
  return kDefaultPath;
}

std::vector<std::string> candidates_for(const std::string& program, std::string_view path) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  std::vector<std::string> found;
  for (;;) {
    auto colon = path.find(':');
    std::string_view directory = path.substr(0, colon);
    found.push_back((directory.empty() ? std::string(".") : std::string(directory)) + "/" +
                    program);
    if (colon == std::string_view::npos) return found;
    path.remove_prefix(colon + 1);
  }
}

// The descriptors of one launch: the child's ends, and ours in `child`.
struct Streams {
  base::UniqueFd in;
  base::UniqueFd out;
  base::UniqueFd err;
};

// Descriptors 0-2 may be free in a pid 1: the child's ends must not land there.
base::Result<> move_up(base::UniqueFd& fd) {
  if (fd.get() > 2) return {};
  int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3);
  if (moved < 0) return base::fail_errno("dup");
  fd.reset(moved);
  return {};
}

base::Result<Streams> open_pipes(const LaunchRequest& request, LaunchedChild& child) {
  Streams streams;
  if (request.stdin_pipe) {
    SANDLOT_TRY(auto in, base::make_pipe());
    streams.in = std::move(in.first);
    child.stdin_write = std::move(in.second);
  } else {
    // Its root may have put a fifo there: that is for the child to wait for, not for us.
    SANDLOT_TRY(streams.in, base::open_file("/dev/null", O_RDONLY | O_NONBLOCK));
    if (::fcntl(streams.in.get(), F_SETFL, O_RDONLY) != 0) return base::fail_errno("fcntl");
  }
  SANDLOT_TRY(auto out, base::make_pipe());
  SANDLOT_TRY(auto err, base::make_pipe());
  streams.out = std::move(out.second);
  streams.err = std::move(err.second);
  child.stdout_read = std::move(out.first);
  child.stderr_read = std::move(err.first);
  SANDLOT_CHECK(move_up(streams.in));
  SANDLOT_CHECK(move_up(streams.out));
  SANDLOT_CHECK(move_up(streams.err));
  return streams;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

bool has_nul(const std::vector<std::string>& strings) {
  for (const std::string& text : strings) {
    if (text.find('\0') != std::string::npos) return true;
  }
  return false;
}

base::Result<pid_t> clone_child(ChildPlan& plan, const OomScore& oom_score) {
  // One launch at a time and the parent sleeps until the exec: one stack for all.
  static const std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kChildStack);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  int pid = 0;
  int error = 0;
  {
    plan.score_file = oom_score.file();
    plan.score = oom_score.own().data();
    plan.score_size = oom_score.own().size();
    OomScore::ForCommand worn(oom_score);
    pid = ::clone(child_main, stack.get() + kChildStack, CLONE_VM | CLONE_VFORK | SIGCHLD, &plan);
    error = errno;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return base::fail(base::os_error("clone", error));
  if (plan.failed == Step::kNone) return static_cast<pid_t>(pid);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (plan.failed == Step::kDirectory)
    return base::fail(base::os_error("chdir", plan.failed_errno));
  return base::fail(base::os_error(plan.failed == Step::kTerminal ? "terminal" : "credentials",
                                   plan.failed_errno));
}

}  // namespace

base::Result<LaunchedChild> launch(const LaunchRequest& request, const OomScore& oom_score) {
  if (request.argv.empty()) return base::fail(base::os_error("exec", EINVAL));
  if (has_nul(request.argv) || has_nul(request.environment)) {
    return base::fail(base::os_error("exec", EINVAL));
  }
  LaunchedChild child;
  ChildPlan plan;
  Streams streams;
  if (request.pty) {
    SANDLOT_TRY(Pty pty, open_pty(*request.pty, request.uid));
    SANDLOT_CHECK(move_up(pty.slave));
    child.pty_master = std::move(pty.master);
    streams.in = std::move(pty.slave);
    plan.terminal = true;
    plan.streams.fill(streams.in.get());
  } else {
    SANDLOT_TRY(streams, open_pipes(request, child));
    plan.streams = {streams.in.get(), streams.out.get(), streams.err.get()};
  }
  std::vector<std::string> paths = candidates_for(request.argv[0], path_of(request.environment));
  std::vector<char*> candidates = pointers(paths);
  std::vector<char*> argv = pointers(request.argv);
  std::vector<char*> environment = pointers(request.environment);
  std::vector<const char*> shell_argv = {"/bin/sh", nullptr};
  shell_argv.insert(shell_argv.end(), argv.begin() + 1, argv.end());
  plan.descriptors = started_descriptor_limit();
  plan.uid = request.uid;
  plan.gid = request.gid;
  plan.groups = request.groups.data();
  plan.group_count = request.groups.size();
  plan.cwd = request.cwd.c_str();
  plan.candidates = candidates.data();
  plan.argv = argv.data();
  plan.shell_argv = shell_argv.data();
  plan.environment = environment.data();
  plan.name = request.argv[0].c_str();
  SANDLOT_TRY(child.pid, clone_child(plan, oom_score));
  return child;
}

}  // namespace fakeapi::envd
