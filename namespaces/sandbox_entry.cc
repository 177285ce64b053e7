#include "namespaces/sandbox_entry.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <sstream>
#include <system_error>
#include <thread>

#include "emulator/base/posix.h"

namespace namespaces {

using base::Errc;
using base::Result;
using base::UniqueFd;

static_assert(kInRoot == (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));

namespace {

base::Failure gone() {
  return base::fail(Errc::kNotFound, "the sandbox has ended");
}

// What becomes a thread that acts in the sandbox's mount namespace. Files that it makes belong to
// the sandbox's root; it may do everything that real root may.
Result<> enter(const UniqueFd& mounts, uid_t root) {
  if (::unshare(CLONE_FS) != 0) return base::fail_errno("own working directory");
  if (::setns(mounts.get(), CLONE_NEWNS) != 0) return base::fail_errno("enter the sandbox");
  ::setfsgid(root);
  ::setfsuid(root);
  if (static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))) != root) {
    return base::fail(Errc::kInternal, "become the sandbox's root");
  }
  // The change took the rights over files away.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return base::fail_errno("capget");
  for (auto& part : data) part.effective = part.permitted;
  if (::syscall(SYS_capset, &header, data) != 0) return base::fail_errno("capset");
  return {};
}

// "\040" is a blank in /proc/<pid>/mountinfo.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned value = 0;
    if (text[at] == '\\' && at + 3 < text.size() &&
        std::from_chars(&text[at + 1], &text[at] + 4, value, 8).ec == std::errc()) {
      plain += static_cast<char>(value);
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

}  // namespace

Result<UniqueFd> open_of(const SandboxPlace& sandbox, const std::string& name) {
  auto file = base::open_file("/proc/" + std::to_string(sandbox.pid) + "/" + name, O_RDONLY);
  if (::syscall(SYS_pidfd_send_signal, sandbox.pidfd, 0, nullptr, 0) != 0) return gone();
  // Of one that has ended and is not buried yet.
  bool dead = !file && (file.error().os_errno() == EINVAL || file.error().os_errno() == ENOENT ||
                        file.error().os_errno() == ESRCH);
  if (dead) return gone();
  return file;
}

Result<> run_inside(const SandboxPlace& sandbox, const std::function<Result<>()>& work) {
  SANDLOT_TRY(auto mounts, open_of(sandbox, "ns/mnt"));
  SANDLOT_TRY(auto map, open_of(sandbox, "uid_map"));
  std::string line(128, '\0');
  SANDLOT_TRY(std::size_t size, base::read_some(map.get(), line));
  uid_t zero = 0;
  uid_t root = 0;
  std::istringstream(line.substr(0, size)) >> zero >> root;
  if (root == 0) return base::fail(Errc::kInternal, "the sandbox has no ids of its own");
  Result<> result;
  auto body = [&] {
    result = enter(mounts, root);
    if (result) result = work();
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error& error) {
    return base::fail(Errc::kResourceExhausted, std::string("start a thread: ") + error.what());
  }
  return result;
}

UniqueFd open_in(int directory,
                 const std::string& path,
                 std::uint64_t flags,
                 std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  const char* name = path.empty() ? "." : path.c_str();
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof how)));
}

Result<MountId> mount_id_of(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0) return base::fail_errno("statx");
  return info.stx_mnt_id;
}

Result<std::map<MountId, std::string>> mount_table(const SandboxPlace& sandbox) {
  SANDLOT_TRY(auto file, open_of(sandbox, "mountinfo"));
  std::string text;
  for (std::string buffer(65536, '\0');;) {
    SANDLOT_TRY(std::size_t count, base::read_some(file.get(), buffer));
    if (count == 0) break;
    text.append(buffer, 0, count);
  }
  std::map<MountId, std::string> table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    MountId id = 0;
    std::string parent, device, root, point;
    if (fields >> id >> parent >> device >> root >> point) table[id] = unescaped(point);
  }
  return table;
}

}  // namespace namespaces
