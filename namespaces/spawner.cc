// The spawner: a tiny single-threaded process that makes every sandbox. It starts as a fresh copy
// of the binary, holds no secret and few descriptors, and lives in a mount namespace with nothing
// in it but /proc.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <optional>

#include "emulator/base/posix.h"
#include "namespaces/child.h"
#include "namespaces/container_runtime.h"
#include "namespaces/seccomp.h"
#include "namespaces/spawn_protocol.h"

namespace namespaces {

namespace {

using base::Failure;
using base::Result;
using base::UniqueFd;

constexpr std::uint64_t kSandboxNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;

struct Spawned {
  pid_t pid = -1;
  UniqueFd fd;
};

// What every child needs, found once at start.
struct Spawner {
  AgentEntry agent = nullptr;
  UniqueFd home_netns;
  ProtectedPaths paths;
  ArgumentArea arguments;
  std::uint64_t tid_address = 0;  // where the C library keeps the main thread's id
};

// clone3 like fork: the child goes on here, on a copy of this stack. 0 in the child.
pid_t clone_child(const Spawner& spawner, std::uint64_t flags, int cgroup_fd, UniqueFd& pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<__u64>(&fd);
  args.exit_signal = SIGCHLD;
  if (spawner.tid_address != 0) {
    args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    args.child_tid = spawner.tid_address;
  }
  if (cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<__u64>(cgroup_fd);
  }
  auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid > 0) pidfd.reset(fd);
  return pid;
}

Result<> write_id_maps(pid_t pid, std::uint32_t first, std::uint32_t count) {
  char line[64];
  int size = std::snprintf(line, sizeof line, "0 %u %u\n", first, count);
  std::string_view text(line, static_cast<std::size_t>(size));
  char path[64];
  for (const char* name : {"uid_map", "gid_map"}) {
    std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return base::fail_errno(name);
    ssize_t written = ::write(fd, text.data(), text.size());
    int saved = errno;
    ::close(fd);
    errno = saved;
    if (written != size) return base::fail_errno(name);
  }
  return {};
}

void kill_child(const UniqueFd& pidfd) {
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

// A read-only sysfs of the current network namespace.
Result<UniqueFd> make_sysfs() {
  UniqueFd context(::fsopen("sysfs", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open sysfs");
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return base::fail_errno("make sysfs");
  }
  UniqueFd mount(
      ::fsmount(context.get(), FSMOUNT_CLOEXEC,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!mount) return base::fail_errno("mount sysfs");
  return mount;
}

// The descriptors of a request, taken in the order of spawn_protocol.h.
Result<ChildPlan> plan_child(const Spawner& spawner,
                             const SpawnRequest& request,
                             const std::vector<UniqueFd>& fds,
                             int& netns,
                             int& cgroup) {
  std::size_t expected = 4 + request.has_usr + request.has_cgroup + request.task_fds;
  if (request.task_fds > kMaxTaskFds || fds.size() != expected) {
    return base::fail(base::Error(base::Errc::kInternal, "spawn request", EBADMSG));
  }
  std::size_t next = 0;
  auto take = [&] { return fds[next++].get(); };
  ChildPlan plan;
  netns = take();
  plan.control_fd = take();
  plan.mounts.root_fd = take();
  plan.mounts.dev_fd = take();
  if (request.has_usr != 0) plan.mounts.usr_fd = take();
  cgroup = request.has_cgroup != 0 ? take() : -1;
  for (plan.task_count = 0; plan.task_count < request.task_fds; ++plan.task_count) {
    plan.task_fds[plan.task_count] = take();
  }
  plan.hostname = request.hostname.data();
  plan.paths = &spawner.paths;
  plan.arguments = spawner.arguments;
  plan.agent = spawner.agent;
  return plan;
}

Result<Spawned> make_sandbox(const Spawner& spawner,
                             const SpawnRequest& request,
                             const std::vector<UniqueFd>& fds) {
  int netns = -1;
  int cgroup = -1;
  SANDLOT_TRY(ChildPlan plan, plan_child(spawner, request, fds, netns, cgroup));
  UniqueFd go(::eventfd(0, EFD_CLOEXEC));
  if (!go) return base::fail_errno("eventfd");
  plan.go_fd = go.get();

  if (::setns(netns, CLONE_NEWNET) != 0) return base::fail_errno("enter network namespace");
  auto sysfs = make_sysfs();
  UniqueFd pidfd;
  pid_t pid = -1;
  if (sysfs) {
    plan.mounts.sys_fd = sysfs->get();
    pid = clone_child(spawner, kSandboxNamespaces, cgroup, pidfd);
    if (pid == 0) run_child(plan);
  }
  int saved = errno;
  if (::setns(spawner.home_netns.get(), CLONE_NEWNET) != 0) ::_exit(3);  // never serve from a slot
  if (!sysfs) return Failure(std::move(sysfs).error());
  errno = saved;
  if (pid < 0) return base::fail_errno("clone");

  std::uint64_t one = 1;
  auto mapped = write_id_maps(pid, request.first_id, request.id_count);
  if (mapped && ::write(go.get(), &one, sizeof one) != sizeof one) mapped = base::fail_errno("go");
  if (!mapped) {
    kill_child(pidfd);
    return Failure(std::move(mapped).error());
  }
  return Spawned{pid, std::move(pidfd)};
}

// A user namespace with an id range and nobody in it: what an idmapped mount refers to.
Result<Spawned> make_userns(const Spawner& spawner, const SpawnRequest& request) {
  UniqueFd pidfd;
  pid_t pid = clone_child(spawner, CLONE_NEWUSER, -1, pidfd);
  if (pid == 0) {
    for (;;) ::pause();
  }
  if (pid < 0) return base::fail_errno("clone user namespace");
  auto mapped = write_id_maps(pid, request.first_id, request.id_count);
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  UniqueFd userns(mapped ? ::open(path, O_RDONLY | O_CLOEXEC) : -1);
  int saved = errno;
  kill_child(pidfd);
  if (!mapped) return Failure(std::move(mapped).error());
  errno = saved;
  if (!userns) return base::fail_errno("open user namespace");
  return Spawned{0, std::move(userns)};
}

Result<> send_reply(const Result<Spawned>& result, std::uint32_t sequence) {
  SpawnReply reply;
  reply.sequence = sequence;
  if (result) {
    reply.pid = result->pid;
  } else {
    reply.error = result.error().os_errno() != 0 ? result.error().os_errno() : EIO;
    // The message is "<step>: <strerror>"; the other side makes the second half again.
    std::string_view message = result.error().message();
    std::string_view step = message.substr(0, message.find(':'));
    step.copy(reply.step.data(), reply.step.size() - 1);
  }
  std::string_view bytes(reinterpret_cast<const char*>(&reply), sizeof reply);
  if (!result || !result->fd) return base::send_with_fds(kSpawnerSocket, bytes, {});
  int fd = result->fd.get();
  return base::send_with_fds(kSpawnerSocket, bytes, std::span(&fd, 1));
}

// A mount namespace with an empty root, /proc and a place for new roots. Children copy little, and
// a mount of the machine made later is not kept alive by a sandbox.
Result<> enter_clean_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) return base::fail_errno("unshare mounts");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return base::fail_errno("private mounts");
  }
  if (::mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") != 0) {
    return base::fail_errno("mount spawner root");
  }
  if (::chdir("/proc") != 0) return base::fail_errno("chdir");
  if (::mkdir("proc", 0555) != 0 || ::mkdir(kNewRoot + 1, 0755) != 0) {
    return base::fail_errno("mkdir");
  }
  // Without flags: a sandbox's proc may not be less restricted than the one seen here.
  if (::mount("proc", "proc", "proc", 0, nullptr) != 0) return base::fail_errno("mount proc");
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    if (::umount2(".", MNT_DETACH) != 0) return base::fail_errno("detach root");
  } else {
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) return base::fail_errno("move root");
    if (::chroot(".") != 0) return base::fail_errno("chroot");
  }
  if (::chdir("/") != 0) return base::fail_errno("chdir");
  return {};
}

// Every signal at its default, for the children too: an ignored one would survive into every
// program they run.
void reset_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // By the raw call: the library keeps 32 and 33 to itself, and they can come ignored from a
  // parent.
  std::array<std::uint64_t, 8> defaults{};
  for (int signal = 1; signal < NSIG; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, defaults.data(), nullptr, sizeof(std::uint64_t));
  }
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  // Nobody waits for sandboxes: the pidfd tells. A flag, not SIG_IGN, which a child would inherit.
  action.sa_flags = SA_NOCLDWAIT;
  ::sigaction(SIGCHLD, &action, nullptr);
}

Result<> detach_from_server() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return base::fail_errno("prctl");
  if (::syscall(SYS_close_range, kSpawnerSocket + 1, ~0U, 0) != 0) {
    return base::fail_errno("close_range");
  }
  SANDLOT_TRY(auto null, base::open_file("/dev/null", O_RDWR));
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(null.get(), fd) < 0) return base::fail_errno("dup2");
  }
  // Out of the terminal's process group: ^C is for the server, which then ends the sandboxes in
  // order.
  ::setsid();
  ::umask(022);
  reset_signals();
  ::prctl(PR_SET_NAME, "sandlot-spawner", 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return {};
}

// Best effort: agents inherit it. Needs CAP_SYS_RESOURCE below the current value (architecture.md
// section 7).
void lower_oom_score() {
  for (const char* score : {"-900", "0"}) {
    if (base::write_control("/proc/self/oom_score_adj", score)) return;
  }
}

void reset_limits() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 1024) {
    files.rlim_cur = 1024;  // what a login has; the server may have raised its own
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) == 0) {
    core.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &core);
  }
}

Result<Spawner> prepare(AgentEntry agent) {
  SANDLOT_CHECK(detach_from_server());
  Spawner spawner;
  spawner.agent = agent;
  spawner.arguments = find_argument_area();
  spawner.paths.collect();
  SANDLOT_TRY(spawner.home_netns, base::open_file("/proc/self/ns/net", O_RDONLY));
  if (::prctl(PR_GET_TID_ADDRESS, &spawner.tid_address, 0, 0, 0) != 0) spawner.tid_address = 0;
  lower_oom_score();
  reset_limits();
  SANDLOT_CHECK(enter_clean_mounts());
  SANDLOT_TRY(auto program, build_seccomp_program());
  SANDLOT_CHECK(load_seccomp_program(program));
  return spawner;
}

}  // namespace

int spawner_main(AgentEntry agent) {
  auto spawner = prepare(agent);
  Result<Spawned> hello;
  if (!spawner) hello = Failure(spawner.error());
  if (!send_reply(hello, 0) || !spawner) return 1;
  for (;;) {
    auto received = base::receive_with_fds(kSpawnerSocket, sizeof(SpawnRequest) + 1);
    if (!received || received->message.empty()) return 0;
    if (received->message.size() != sizeof(SpawnRequest)) return 2;
    SpawnRequest request;
    std::memcpy(&request, received->message.data(), sizeof request);
    request.hostname.back() = '\0';
    auto result = request.kind == SpawnKind::kUserns
                      ? make_userns(*spawner, request)
                      : make_sandbox(*spawner, request, received->fds);
    received->fds.clear();
    if (!send_reply(result, request.sequence)) return 0;
  }
}

}  // namespace namespaces
