#include "tests/bench/floor_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "tests/bench/floor_network.h"
#include "tests/bench/floor_rootfs.h"

#include <stddef.h>
#include <time.h>

namespace bench {

namespace {

// In the spirit of the common container default.
constexpr std::array kDenied = {
    SYS_acct,
    SYS_add_key,
    SYS_bpf,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_create_module,
    SYS_delete_module,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_get_kernel_syms,
    SYS_get_mempolicy,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_ioperm,
    SYS_iopl,
    SYS_kcmp,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_mbind,
    SYS_migrate_pages,
    SYS_move_pages,
    SYS_nfsservctl,
    SYS_open_by_handle_at,
    SYS_perf_event_open,
    SYS_pivot_root,
    SYS_query_module,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_set_mempolicy,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_uselib,
    SYS_userfaultfd,
    SYS_vhangup,
};

FailedStep load_filter() {
  constexpr std::size_t kCount = kDenied.size();
  std::array<sock_filter, kCount + 6> program{};
  std::size_t at = 0;
  auto put = [&](sock_filter instruction) { program[at++] = instruction; };
  constexpr auto kReturn = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
  put(sock_filter{kReturn, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  put(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (std::size_t i = 0; i < kCount; ++i) {
    auto to_deny = static_cast<std::uint8_t>(kCount - i);
    put(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(kDenied[i]), to_deny, 0));
  }
  put(sock_filter{kReturn, 0, 0, SECCOMP_RET_ALLOW});
  put(sock_filter{kReturn, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  sock_fprog filter{static_cast<unsigned short>(at), program.data()};
  // Without no_new_privs, as a sandbox in which sudo works: the child's own root may.
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0 ? nullptr : "seccomp";
}

FailedStep wait_for(int socket, char mark) {
  char got = 0;
  if (::recv(socket, &got, 1, 0) != 1) ::_exit(0);
  return got == mark ? nullptr : "mark from the parent";
}

FailedStep attach_clone(const char* source, const char* target) {
  base::UniqueFd tree(::open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return "open_tree";
  return ::move_mount(tree.get(), "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0
             ? nullptr
             : "move_mount";
}

FailedStep make_mounts(const ChildPlan& plan) {
  if (::move_mount(plan.overlay, "", AT_FDCWD, kNewRoot, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return "attach overlay";
  if (::chdir(kNewRoot) != 0) return "chdir";
  if (FailedStep failed = attach_clone(kUsrLayer, "usr")) return failed;
  if (::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return "mount proc";
  if (FailedStep failed = attach_clone(kDevTemplate, "dev")) return failed;
  if (::mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=620") != 0) {
    return "mount devpts";
  }
  if (::mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0)
    return "mount shm";
  if (plan.own_network && ::mount("sysfs", "sys", "sysfs",
                                  MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr) != 0) {
    return "mount sysfs";
  }
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return "pivot_root";
  if (::umount2(".", MNT_DETACH) != 0) return "detach the old root";
  return ::chdir("/") == 0 ? nullptr : "chdir /";
}

FailedStep become_ready(const ChildPlan& plan) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  if (FailedStep failed = wait_for(plan.socket, kIdsMapped)) return failed;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    return "become root";
  if (FailedStep failed = make_mounts(plan)) return failed;
  if (::sethostname("sandbox", 7) != 0) return "sethostname";
  if (plan.own_network) {
    base::UniqueFd route = open_route_socket();
    if (FailedStep failed = wait_for(plan.socket, kLinkMade)) return failed;
    if (FailedStep failed = configure_inside(route.get(), plan.link)) return failed;
  }
  return load_filter();
}

void answer(int socket, FailedStep failed) {
  ChildAnswer reply;
  reply.error = failed == nullptr ? 0 : errno;
  if (failed != nullptr) std::snprintf(reply.step, sizeof reply.step, "%s", failed);
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  reply.cpu_ns = used.tv_sec * 1'000'000'000LL + used.tv_nsec;
  if (::send(socket, &reply, sizeof reply, MSG_NOSIGNAL) < 0) ::_exit(1);
}

}  // namespace

void run_child(const ChildPlan& plan) {
  answer(plan.socket, become_ready(plan));
  // A claimed blank sandbox: the message is "<host name>\n<the rest of the configuration>".
  std::array<char, 4096> message{};
  for (;;) {
    ssize_t size = ::recv(plan.socket, message.data(), message.size(), 0);
    if (size <= 0) ::_exit(0);
    std::size_t name = 0;
    while (name < static_cast<std::size_t>(size) && message[name] != '\n') ++name;
    answer(plan.socket, ::sethostname(message.data(), name) == 0 ? nullptr : "sethostname");
  }
}

}  // namespace bench
