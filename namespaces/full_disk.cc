#include "namespaces/full_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "emulator/base/posix.h"
#include "namespaces/sandbox_entry.h"

namespace namespaces {

using base::Errc;
using base::Result;
using base::UniqueFd;

namespace {

constexpr std::size_t kMostDirectories = 256;
// Enough for the overlays' own directories, six each; what is left over is used up.
constexpr const char* kInodes = "2048";
constexpr const char* kSize = "64k";

// A directory of the sandbox's root, as it is and as it shall be.
struct Cover {
  std::string path;     // "/home"
  UniqueFd below;       // a copy of its mount, attached nowhere
  struct stat info {};  // whose it is
  UniqueFd overlay;
  MountId id = 0;
};

// A volume below such a directory: stays visible.
struct Kept {
  std::string path;
  UniqueFd copy;
};

struct Covers {
  std::vector<Cover> directories;
  std::vector<Kept> volumes;
};

bool is_overlay(int fd) {
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 && info.f_type == OVERLAYFS_SUPER_MAGIC;
}

Result<UniqueFd> copy_of(int directory) {
  UniqueFd copy(::open_tree(directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!copy) return base::fail_errno("copy a mount of the sandbox");
  return copy;
}

// Inside the sandbox: the directories of its root that are on its disk.
Result<> find_directories(Covers& covers) {
  SANDLOT_TRY(auto root, base::open_file("/", O_PATH | O_DIRECTORY));
  SANDLOT_TRY(auto all, base::open_file("/", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(all.get()), ::closedir);
  if (!listing) return base::fail_errno("list the root of the sandbox");
  (void)all.release();  // the listing closes it
  while (dirent* entry = ::readdir(listing.get())) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    UniqueFd directory = open_in(root.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW, kInRoot);
    if (!directory || !is_overlay(directory.get())) continue;
    if (covers.directories.size() == kMostDirectories) {
      return base::fail(Errc::kResourceExhausted, "there are too many directories in /");
    }
    Cover cover;
    cover.path = "/" + name;
    if (::fstat(directory.get(), &cover.info) != 0) return base::fail_errno("stat " + cover.path);
    SANDLOT_TRY(cover.below, copy_of(directory.get()));
    covers.directories.push_back(std::move(cover));
  }
  return {};
}

// Inside the sandbox: what is mounted below those and belongs to somebody else.
Result<> find_volumes(const std::map<MountId, std::string>& table, Covers& covers) {
  SANDLOT_TRY(auto root, base::open_file("/", O_PATH | O_DIRECTORY));
  for (const auto& [id, path] : table) {
    auto inside = [&path = path](const Cover& cover) { return path.starts_with(cover.path + "/"); };
    if (std::none_of(covers.directories.begin(), covers.directories.end(), inside)) continue;
    UniqueFd point = open_in(root.get(), path.substr(1), O_PATH, kInRoot);
    if (!point) return base::fail_errno("find '" + path + "'");
    Kept kept;
    kept.path = path;
    SANDLOT_TRY(kept.copy, copy_of(point.get()));
    covers.volumes.push_back(std::move(kept));
  }
  // An outer one before those in it.
  std::sort(covers.volumes.begin(), covers.volumes.end(),
            [](const Kept& left, const Kept& right) { return left.path < right.path; });
  return {};
}

Result<> set_option(int context, const char* key, const std::string& value) {
  if (::fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) return {};
  return base::fail_errno(std::string("overlay ") + key);
}

// In the scratch directory: "<name>" and in it below, upper, work.
Result<> lay(Cover& cover, const std::string& name) {
  for (const char* part : {"", "/below", "/upper", "/work"}) {
    if (::mkdir((name + part).c_str(), 0700) != 0) return base::fail_errno("make " + name + part);
  }
  std::string upper = name + "/upper";
  // The directory shows as what lies on top of it.
  const timespec times[] = {cover.info.st_atim, cover.info.st_mtim};
  if (::chown(upper.c_str(), cover.info.st_uid, cover.info.st_gid) != 0 ||
      ::chmod(upper.c_str(), cover.info.st_mode & 07777U) != 0 ||
      ::utimensat(AT_FDCWD, upper.c_str(), times, 0) != 0) {
    return base::fail_errno("own " + upper);
  }
  std::string below = name + "/below";
  if (::move_mount(cover.below.get(), "", AT_FDCWD, below.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return base::fail_errno("attach " + below);
  }
  UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open overlay");
  SANDLOT_CHECK(set_option(context.get(), "lowerdir", below));
  SANDLOT_CHECK(set_option(context.get(), "upperdir", upper));
  SANDLOT_CHECK(set_option(context.get(), "workdir", name + "/work"));
  SANDLOT_CHECK(set_option(context.get(), "source", "full"));
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return base::fail(Errc::kUnimplemented,
                      base::os_error("an overlay over " + cover.path, errno).message());
  }
  cover.overlay = UniqueFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV));
  if (!cover.overlay) return base::fail_errno("mount overlay");
  SANDLOT_TRY(cover.id, mount_id_of(cover.overlay.get()));
  return {};
}

// Until neither a block nor an inode is left.
Result<> use_up() {
  SANDLOT_TRY(auto rest, base::open_file("rest", O_WRONLY | O_CREAT | O_EXCL, 0600));
  const std::string block(4096, '\0');
  while (::write(rest.get(), block.data(), block.size()) > 0) {
  }
  if (errno != ENOSPC) return base::fail_errno("use up the disk");
  for (int i = 0;; ++i) {
    if (::mknod(("n" + std::to_string(i)).c_str(), S_IFREG | 0600, 0) == 0) continue;
    if (errno == ENOSPC) return {};
    return base::fail_errno("use up the disk");
  }
}

// On a thread with mounts of its own: neither the machine nor the sandbox sees what is made here.
Result<> make_overlays(const std::filesystem::path& scratch, Covers& covers) {
  if (::unshare(CLONE_NEWNS) != 0) return base::fail_errno("unshare mounts");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return base::fail_errno("private mounts");
  }
  std::string options = std::string("mode=0700,size=") + kSize + ",nr_inodes=" + kInodes;
  if (::mount("full", scratch.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return base::fail_errno("mount scratch");
  }
  if (::chdir(scratch.c_str()) != 0) return base::fail_errno("enter scratch");
  ::umask(0);
  for (std::size_t i = 0; i < covers.directories.size(); ++i) {
    SANDLOT_CHECK(lay(covers.directories[i], "d" + std::to_string(i)));
  }
  return use_up();
}

Result<> on_thread(const std::function<Result<>()>& work) {
  Result<> result;
  try {
    std::thread([&] { result = work(); }).join();
  } catch (const std::system_error& error) {
    return base::fail(Errc::kResourceExhausted, std::string("start a thread: ") + error.what());
  }
  return result;
}

Result<> attach(int mount, int point, const std::string& path) {
  constexpr unsigned kHere = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  if (::move_mount(mount, "", point, "", kHere) == 0) return {};
  return base::fail_errno("mount at '" + path + "'");
}

// Inside the sandbox. `done`: those that have been mounted.
Result<> attach_all(const Covers& covers, std::vector<MountId>& done) {
  SANDLOT_TRY(auto root, base::open_file("/", O_PATH | O_DIRECTORY));
  for (const Cover& cover : covers.directories) {
    UniqueFd point =
        open_in(root.get(), cover.path.substr(1), O_PATH | O_DIRECTORY | O_NOFOLLOW, kInRoot);
    struct stat now {};
    bool same = point && ::fstat(point.get(), &now) == 0 && now.st_dev == cover.info.st_dev &&
                now.st_ino == cover.info.st_ino;
    if (!same) return base::fail(Errc::kConflict, "'" + cover.path + "' has just been moved");
    SANDLOT_CHECK(attach(cover.overlay.get(), point.get(), cover.path));
    done.push_back(cover.id);
  }
  for (const Kept& kept : covers.volumes) {
    UniqueFd point = open_in(root.get(), kept.path.substr(1), O_PATH, kInRoot);
    if (!point) return base::fail_errno("find '" + kept.path + "'");
    SANDLOT_CHECK(attach(kept.copy.get(), point.get(), kept.path));
  }
  return {};
}

// What has a file open keeps it, as it is, until it is closed.
Result<> take_away(const SandboxPlace& sandbox, std::vector<MountId>& mounts) {
  while (!mounts.empty()) {
    SANDLOT_CHECK(unmount_from(sandbox, mounts.back(), true));
    mounts.pop_back();
  }
  return {};
}

}  // namespace

Result<> FullDisk::set(const SandboxPlace& sandbox,
                       const std::filesystem::path& scratch,
                       bool full) {
  if (!full) return take_away(sandbox, mounts_);
  if (!mounts_.empty()) return {};
  Covers covers;
  SANDLOT_TRY(auto table, mount_table(sandbox));
  SANDLOT_CHECK(run_inside(sandbox, [&]() -> Result<> {
    SANDLOT_CHECK(find_directories(covers));
    return find_volumes(table, covers);
  }));
  SANDLOT_CHECK(on_thread([&] { return make_overlays(scratch, covers); }));
  auto attached = run_inside(sandbox, [&] { return attach_all(covers, mounts_); });
  if (!attached) (void)take_away(sandbox, mounts_);
  return attached;
}

}  // namespace namespaces
