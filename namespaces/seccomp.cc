#include "namespaces/seccomp.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "emulator/base/posix.h"

namespace namespaces {

namespace {

// By name: a call that an architecture or this version of the library does not know is left out.
constexpr const char* kDenied[] = {
    // kernel modules, another kernel, reboot
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    // clocks of the machine
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "settimeofday",
    "stime",
    // programs in the kernel, its keys, its rings: large surfaces that sandboxes have no use for
    "bpf",
    "add_key",
    "request_key",
    "keyctl",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "perf_event_open",
    "lookup_dcookie",
    // swap, accounting, quota, logs
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "syslog",
    "nfsservctl",
    // files by handle pass by the mount namespace
    "open_by_handle_at",
    // hardware and what is left of old interfaces
    "iopl",
    "ioperm",
    "vm86",
    "vm86old",
    "uselib",
    "ustat",
    "sysfs",
    "_sysctl",
    "bdflush",
    "vhangup",
};

// Sockets that reach the hypervisor (AF_VSOCK) or the kernel's crypto parsers (AF_ALG).
constexpr int kDeniedFamilies[] = {38 /* AF_ALG */, 40 /* AF_VSOCK */};

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

base::Failure library_error(const char* what, int code) {
  return base::fail(base::os_error(std::string("seccomp: ") + what, -code));
}

base::Result<> add_architectures(scmp_filter_ctx context) {
  std::vector<std::uint32_t> extra;
  if (seccomp_arch_native() == SCMP_ARCH_X86_64) extra = {SCMP_ARCH_X86, SCMP_ARCH_X32};
  if (seccomp_arch_native() == SCMP_ARCH_AARCH64) extra = {SCMP_ARCH_ARM};
  for (std::uint32_t arch : extra) {
    int code = seccomp_arch_add(context, arch);
    if (code != 0 && code != -EEXIST) return library_error("add architecture", code);
  }
  return {};
}

base::Result<> add_rules(scmp_filter_ctx context) {
  for (const char* name : kDenied) {
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;
    int code = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), number, 0);
    // EDOM, EINVAL: not a call of any of these architectures.
    if (code != 0 && code != -EDOM && code != -EINVAL) return library_error(name, code);
  }
  for (int family : kDeniedFamilies) {
    int code = seccomp_rule_add(context, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
    if (code != 0) return library_error("socket", code);
  }
  return {};
}

}  // namespace

base::Result<std::vector<sock_filter>> build_seccomp_program() {
  Context context(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (!context) return base::fail(base::Errc::kInternal, "seccomp: no context");
  // A call table that is not named here answers ENOSYS instead of killing the process.
  int code = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
  if (code != 0) return library_error("bad architecture action", code);
  // A tree instead of a list: loads and runs faster (performance.md 2.6). Best effort.
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  SANDLOT_CHECK(add_architectures(context.get()));
  SANDLOT_CHECK(add_rules(context.get()));

  base::UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) return base::fail_errno("memfd_create");
  code = seccomp_export_bpf(context.get(), file.get());
  if (code != 0) return library_error("export", code);
  off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size <= 0) return base::fail_errno("seccomp: export");
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) {
    return base::fail_errno("seccomp: read program");
  }
  return program;
}

base::Result<> load_seccomp_program(std::vector<sock_filter>& program) {
  sock_fprog loaded{static_cast<unsigned short>(program.size()), program.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) != 0) {
    return base::fail_errno("load seccomp filter");
  }
  return {};
}

}  // namespace namespaces
