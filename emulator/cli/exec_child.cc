#include "emulator/cli/exec_child.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>

#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"

namespace emulator::cli {
namespace {

constexpr std::size_t kStackBytes = 128U << 10U;

// What the child needs, prepared before it exists: it must neither allocate nor take a lock (it
// shares our memory and the thread that made it stands still until it has become another program).
struct Start {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const FileOverride* overrides = nullptr;
  std::size_t override_count = 0;
  const sigset_t* mask = nullptr;
  // Written by the child when it fails.
  const char* failed_step = nullptr;
  int error = 0;
};

int give_up(Start& start, const char* step) {
  start.error = errno;
  start.failed_step = step;
  // Not _exit: a sanitizer would look for its bookkeeping of a stack that it does not know.
  return static_cast<int>(::syscall(SYS_exit_group, 127));
}

// Our handlers would run on our data; what we ignore for our own sake (SIGPIPE) the child must not.
// What our own parent ignored (nohup) stays ignored.
void reset_signals() {
  struct sigaction action {};
  for (int number = 1; number < NSIG; ++number) {
    if (::sigaction(number, nullptr, &action) != 0) continue;
    const bool ignored = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
    const bool standard = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
    if (standard || (ignored && number != SIGPIPE)) continue;
    struct sigaction fresh {};
    fresh.sa_handler = SIG_DFL;
    ::sigaction(number, &fresh, nullptr);
  }
}

int child_main(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  reset_signals();
  if (start.override_count > 0) {
    // Slave, not private: what the machine unmounts later disappears here too.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
      return give_up(start, "make mounts private");
  }
  for (std::size_t i = 0; i < start.override_count; ++i) {
    const FileOverride& item = start.overrides[i];
    if (::mount(item.source.c_str(), item.target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return give_up(start, "replace a resolver file");
    }
  }
  ::pthread_sigmask(SIG_SETMASK, start.mask, nullptr);
  ::execve(start.path, start.argv, start.environment);
  return give_up(start, "exec");
}

// The path execvp would choose, by the PATH of the child's environment.
base::Result<std::string> find_program(const std::string& name,
                                       const std::vector<std::string>& environment) {
  if (name.empty()) return base::fail(base::Errc::kNotFound, "the command's name is empty");
  if (name.find('/') != std::string::npos) return name;
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& entry : environment) {
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  }
  bool forbidden = false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    const std::string folder = path.substr(at, end - at);
    const std::string candidate = folder.empty() ? name : folder + "/" + name;
    struct stat status {};
    if (::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      if (::access(candidate.c_str(), X_OK) == 0) return candidate;
      forbidden = true;
    }
    at = end + 1;
  }
  if (forbidden) return base::fail(base::Errc::kPermissionDenied, name + ": permission denied");
  return base::fail(base::Errc::kNotFound, name + ": command not found");
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

base::Result<RunningChild> start_exec_child(const ExecChild& child) {
  if (child.argv.empty()) return base::fail(base::Errc::kInvalidArgument, "there is no command");
  SANDLOT_TRY(const std::string path, find_program(child.argv.front(), child.environment));
  const std::vector<char*> argv = pointers(child.argv);
  const std::vector<char*> environment = pointers(child.environment);
  void* stack = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return base::fail_errno("map a stack");
  base::ScopeExit unmap([stack] { ::munmap(stack, kStackBytes); });

  sigset_t all;
  sigset_t empty;
  sigset_t before;
  ::sigfillset(&all);
  ::sigemptyset(&empty);
  Start start;
  start.path = path.c_str();
  start.argv = argv.data();
  start.environment = environment.data();
  start.overrides = child.overrides.data();
  start.override_count = child.overrides.size();
  start.mask = &empty;

  // As vfork: memory is shared and this thread waits, so the size of our heap does not matter.
  int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  if (!child.overrides.empty()) flags |= CLONE_NEWNS;
  int pidfd = -1;
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid =
      ::clone(child_main, static_cast<char*>(stack) + kStackBytes, flags, &start, &pidfd);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return base::fail(base::os_error("clone", error));
  RunningChild running;
  running.pid = pid;
  running.pidfd.reset(pidfd);
  if (start.failed_step != nullptr) {
    (void)reap_exec_child(running);
    if (std::string_view(start.failed_step) == "exec")
      return base::fail(base::os_error(child.argv.front(), start.error));
    return base::fail(base::os_error(start.failed_step, start.error));
  }
  return running;
}

int reap_exec_child(const RunningChild& child) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

base::Result<std::vector<FileOverride>> prepare_name_resolution(
    const std::filesystem::path& directory, const std::string& dns_host) {
  SANDLOT_CHECK(base::make_directories(directory));
  std::string resolv = "nameserver " + dns_host + "\noptions timeout:2 attempts:2\n";
  std::string nsswitch = "passwd: files\ngroup: files\nshadow: files\n";
  if (auto text = base::read_file("/etc/nsswitch.conf")) nsswitch = *text;
  std::string kept;
  for (std::size_t at = 0; at < nsswitch.size();) {
    const std::size_t end = std::min(nsswitch.find('\n', at), nsswitch.size());
    const std::string line = nsswitch.substr(at, end - at);
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line.compare(first, 5, "hosts") != 0) kept += line + "\n";
    at = end + 1;
  }
  kept += "hosts: files dns\n";
  SANDLOT_CHECK(base::write_file(directory / "resolv.conf", resolv));
  SANDLOT_CHECK(base::write_file(directory / "nsswitch.conf", kept));
  std::vector<FileOverride> overrides;
  std::error_code error;
  if (!std::filesystem::exists("/etc/resolv.conf", error)) {
    return base::fail(
        base::Errc::kFailedPrecondition,
        "this machine has no /etc/resolv.conf that could be replaced for the command");
  }
  overrides.push_back({directory / "resolv.conf", "/etc/resolv.conf"});
  // Without the file glibc asks DNS anyway.
  if (std::filesystem::exists("/etc/nsswitch.conf", error)) {
    overrides.push_back({directory / "nsswitch.conf", "/etc/nsswitch.conf"});
  }
  // A name cache daemon would answer with the machine's own resolver: nobody listens on this file.
  for (const char* socket : {"/run/nscd/socket", "/var/run/nscd/socket"}) {
    if (!std::filesystem::exists(socket, error)) continue;
    SANDLOT_CHECK(base::write_file(directory / "no-nscd", ""));
    overrides.push_back({directory / "no-nscd", socket});
    break;
  }
  return overrides;
}

}  // namespace emulator::cli
