#include "namespaces/volume_mount.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>

#include "emulator/base/posix.h"

namespace namespaces {

using base::Errc;
using base::Result;
using base::UniqueFd;

namespace {

base::Failure gone() {
  return base::fail(Errc::kNotFound, "the sandbox has ended");
}

// A file of the sandbox's pid 1 below /proc; never one of a process that got its number later.
Result<UniqueFd> open_of(const SandboxPlace& sandbox, const std::string& name) {
  auto file = base::open_file("/proc/" + std::to_string(sandbox.pid) + "/" + name, O_RDONLY);
  if (::syscall(SYS_pidfd_send_signal, sandbox.pidfd, 0, nullptr, 0) != 0) return gone();
  return file;
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

// Runs `work` on a thread of its own inside the sandbox.
template <class F>
auto inside(const SandboxPlace& sandbox, F work) -> decltype(work()) {
  SANDLOT_TRY(auto mounts, open_of(sandbox, "ns/mnt"));
  SANDLOT_TRY(auto map, open_of(sandbox, "uid_map"));
  std::string line(128, '\0');
  SANDLOT_TRY(std::size_t size, base::read_some(map.get(), line));
  uid_t zero = 0;
  uid_t root = 0;
  std::istringstream(line.substr(0, size)) >> zero >> root;
  if (root == 0) return base::fail(Errc::kInternal, "the sandbox has no ids of its own");
  std::optional<decltype(work())> result;
  auto body = [&] {
    auto entered = enter(mounts, root);
    if (entered) {
      result.emplace(work());
    } else {
      result.emplace(base::Failure(std::move(entered).error()));
    }
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error& error) {
    return base::fail(Errc::kResourceExhausted, std::string("start a thread: ") + error.what());
  }
  return std::move(*result);
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

constexpr std::uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

// The directory at `path`; what is missing of it is made.
Result<UniqueFd> mount_point(const std::string& path) {
  SANDLOT_TRY(auto root, base::open_file("/", O_PATH | O_DIRECTORY));
  UniqueFd parent = open_in(root.get(), "", O_PATH | O_DIRECTORY, kInRoot);
  for (std::size_t begin = 1; begin < path.size();) {
    std::size_t end = std::min(path.find('/', begin), path.size());
    std::string name = path.substr(begin, end - begin);
    std::string prefix = path.substr(1, end - 1);
    UniqueFd next = open_in(root.get(), prefix, O_PATH | O_DIRECTORY, kInRoot);
    if (!next && errno == ENOENT) {
      if (::mkdirat(parent.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
        return base::fail_errno("make " + path.substr(0, end));
      }
      next = open_in(root.get(), prefix, O_PATH | O_DIRECTORY, kInRoot);
    }
    if (!next) {
      std::string reason = base::os_error(path.substr(0, end)).message();
      return base::fail(Errc::kInvalidArgument, "cannot mount at '" + path + "': " + reason);
    }
    parent = std::move(next);
    begin = end + 1;
  }
  return parent;
}

Result<MountId> id_of(int fd) {
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0) return base::fail_errno("statx");
  return info.stx_mnt_id;
}

// A copy of the mount at `source`, shifted into the ids of the sandbox.
Result<UniqueFd> shifted_copy(const SandboxPlace& sandbox, int source) {
  SANDLOT_TRY(auto userns, open_of(sandbox, "ns/user"));
  UniqueFd copy(::open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!copy) return base::fail_errno("copy the volume's mount");
  mount_attr attributes{};
  // No setuid: what one sandbox's root leaves there is no program of another's.
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = static_cast<__u64>(userns.get());
  if (::mount_setattr(copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return base::fail_errno("shift the volume's owners");
  }
  return copy;
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

// Where each mount is, as the sandbox sees it.
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

// Names the mount by its directory's parent, which the sandbox cannot exchange under us: a name
// that is a mount point can be neither moved nor replaced.
Result<> unmount_at(const std::string& point, MountId mount, bool force) {
  auto slash = point.rfind('/');
  std::string parent_path = point.substr(0, slash);
  std::string name = point.substr(slash + 1);
  if (slash == std::string::npos || name.empty()) {
    return base::fail(Errc::kInternal, "a volume at the root of a sandbox");
  }
  SANDLOT_TRY(auto root, base::open_file("/", O_PATH | O_DIRECTORY));
  UniqueFd parent = open_in(root.get(), parent_path.empty() ? "" : parent_path.substr(1),
                            O_PATH | O_DIRECTORY, kInRoot | RESOLVE_NO_SYMLINKS);
  if (!parent) return base::fail_errno("find '" + point + "'");
  {
    UniqueFd here = open_in(parent.get(), name, O_PATH | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS);
    if (!here) return base::fail_errno("find '" + point + "'");
    SANDLOT_TRY(MountId found, id_of(here.get()));
    if (found != mount) return base::fail(Errc::kConflict, "something is mounted over it");
  }
  if (::fchdir(parent.get()) != 0) return base::fail_errno("enter '" + parent_path + "'");
  parent.reset();
  root.reset();
  int flags = UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0);
  if (::umount2(name.c_str(), flags) == 0) return {};
  if (errno != EBUSY) return base::fail_errno("unmount '" + point + "'");
  return base::fail(Errc::kConflict, "a process uses it");
}

}  // namespace

Result<MountId> mount_into(const SandboxPlace& sandbox, int source, const std::string& path) {
  SANDLOT_TRY(auto copy, shifted_copy(sandbox, source));
  SANDLOT_TRY(MountId id, id_of(copy.get()));
  auto work = [&]() -> Result<MountId> {
    SANDLOT_TRY(auto point, mount_point(path));
    if (::move_mount(copy.get(), "", point.get(), "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
      return base::fail_errno("mount at '" + path + "'");
    }
    return id;
  };
  return inside(sandbox, work);
}

Result<> unmount_from(const SandboxPlace& sandbox, MountId mount, bool force) {
  SANDLOT_TRY(auto table, mount_table(sandbox));
  auto found = table.find(mount);
  if (found == table.end()) return {};
  auto work = [&] { return unmount_at(found->second, mount, force); };
  return inside(sandbox, work);
}

Result<std::set<MountId>> mounts_of(const SandboxPlace& sandbox) {
  SANDLOT_TRY(auto table, mount_table(sandbox));
  std::set<MountId> ids;
  for (const auto& [id, point] : table) ids.insert(id);
  return ids;
}

}  // namespace namespaces
