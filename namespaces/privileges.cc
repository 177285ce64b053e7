#include "namespaces/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace namespaces {

namespace {

constexpr const char kAgentName[] = "envd";

constexpr std::uint64_t bit(int capability) {
  return std::uint64_t{1} << capability;
}

constexpr std::uint64_t kKept = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) |
                                bit(CAP_FSETID) | bit(CAP_KILL) | bit(CAP_SETGID) |
                                bit(CAP_SETUID) | bit(CAP_SETPCAP) | bit(CAP_NET_BIND_SERVICE) |
                                bit(CAP_NET_RAW) | bit(CAP_SYS_CHROOT) | bit(CAP_MKNOD) |
                                bit(CAP_AUDIT_WRITE) | bit(CAP_SETFCAP);

}  // namespace

ArgumentArea find_argument_area() {
  // Fields 48 and 49 of /proc/self/stat: arg_start and arg_end.
  int fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char text[2048];
  ssize_t count = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (count <= 0) return {};
  text[count] = '\0';
  char* cursor = std::strrchr(text, ')');  // the name may hold anything; it is field 2
  for (int field = 2; cursor != nullptr && field < 48; ++field)
    cursor = std::strchr(cursor + 1, ' ');
  if (cursor == nullptr) return {};
  std::uintptr_t begin = std::strtoull(cursor, &cursor, 10);
  std::uintptr_t end = std::strtoull(cursor, nullptr, 10);
  if (begin == 0 || end <= begin) return {};
  return {reinterpret_cast<char*>(begin), end - begin};  // NOLINT(performance-no-int-to-ptr)
}

FailedStep become_root_inside() {
  // Raw calls: the library's wrappers would signal every thread, and there is just one.
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0) return "setresgid";
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) return "setgroups";
  if (::syscall(SYS_setresuid, 0, 0, 0) != 0) return "setresuid";
  return nullptr;
}

FailedStep drop_capabilities() {
  for (int capability = 0; capability < 64; ++capability) {
    if ((kKept & bit(capability)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // past the last one that this kernel knows
      return "drop bounding set";
    }
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  data[0].effective = data[0].permitted = static_cast<std::uint32_t>(kKept);
  data[1].effective = data[1].permitted = static_cast<std::uint32_t>(kKept >> 32U);
  if (::syscall(SYS_capset, &header, data) != 0) return "capset";
  return nullptr;
}

FailedStep settle_descriptors(int control_fd, int oom_score_fd) {
  // Out of the way of both targets first.
  if (oom_score_fd >= 0) {
    oom_score_fd = ::fcntl(oom_score_fd, F_DUPFD_CLOEXEC, kOomScoreFd + 1);
    if (oom_score_fd < 0) return "score descriptor";
  }
  if (control_fd != kControlFd) {
    if (::dup3(control_fd, kControlFd, O_CLOEXEC) < 0) return "control descriptor";
  }
  unsigned first_unused = kOomScoreFd;
  if (oom_score_fd >= 0) {
    if (::dup3(oom_score_fd, kOomScoreFd, O_CLOEXEC) < 0) return "score descriptor";
    ++first_unused;
  }
  if (::syscall(SYS_close_range, first_unused, ~0U, 0) != 0) return "close_range";
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return "open /dev/null";
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(null, fd) < 0) return "standard descriptors";
  }
  ::close(null);
  return nullptr;
}

FailedStep hide_past(ArgumentArea arguments) {
  if (arguments.size > sizeof kAgentName) {
    std::memset(arguments.begin, 0, arguments.size);
    std::memcpy(arguments.begin, kAgentName, sizeof kAgentName);
  }
  ::prctl(PR_SET_NAME, kAgentName, 0, 0, 0);
  ::umask(022);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return "not dumpable";
  return nullptr;
}

}  // namespace namespaces
