#include "namespaces/volume_mount.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "emulator/base/posix.h"
#include "namespaces/sandbox_entry.h"

namespace namespaces {

using base::Errc;
using base::Result;
using base::UniqueFd;

namespace {

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
    SANDLOT_TRY(MountId found, mount_id_of(here.get()));
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
  SANDLOT_TRY(MountId id, mount_id_of(copy.get()));
  auto work = [&]() -> Result<> {
    SANDLOT_TRY(auto point, mount_point(path));
    if (::move_mount(copy.get(), "", point.get(), "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
      return base::fail_errno("mount at '" + path + "'");
    }
    return {};
  };
  SANDLOT_CHECK(run_inside(sandbox, work));
  return id;
}

Result<> unmount_from(const SandboxPlace& sandbox, MountId mount, bool force) {
  SANDLOT_TRY(auto table, mount_table(sandbox));
  auto found = table.find(mount);
  if (found == table.end()) return {};
  auto work = [&] { return unmount_at(found->second, mount, force); };
  return run_inside(sandbox, work);
}

Result<std::set<MountId>> mounts_of(const SandboxPlace& sandbox) {
  SANDLOT_TRY(auto table, mount_table(sandbox));
  std::set<MountId> ids;
  for (const auto& [id, point] : table) ids.insert(id);
  return ids;
}

}  // namespace namespaces
