#include "emulator/volumes/volume_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "namespaces/kept_files.h"
#include "namespaces/tree_removal.h"

#include <fts.h>

namespace emulator::volumes {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;

namespace {

constexpr std::uint64_t kGiB = 1ULL << 30U;
// A dead emulator's kernel objects go within moments.
constexpr int kWaitMs = 5000;
// Who has answered that a volume was let go of may still have a descriptor of it: a worker on its
// way out of the job, a child before its exec.
constexpr int kMomentMs = 200;
// The same of the kernel's own work, after the last process of a sandbox.
constexpr int kLastUnmountMs = 1000;
constexpr std::time_t kOrphanAge = 60;

base::Failure in_use() {
  return base::fail(Errc::kConflict, "the volume is in use");
}

base::Failure not_started() {
  return base::fail(Errc::kUnavailable, "volumes could not be started; the log says why");
}

// Everybody in every sandbox may write there, as in the cloud.
Result<> prepare_root(int fd) {
  ::unlinkat(fd, "lost+found", AT_REMOVEDIR);
  if (::fchmod(fd, 0777) != 0) return base::fail_errno("open the volume for everybody");
  return {};
}

Result<std::uint64_t> size_of_files(const fs::path& directory) {
  std::string path = directory.string();
  char* roots[] = {path.data(), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV, nullptr);
  if (walk == nullptr) return base::fail_errno("measure " + path);
  std::uint64_t blocks = 0;
  while (const FTSENT* entry = ::fts_read(walk)) {
    bool counts = entry->fts_info != FTS_DP && entry->fts_info != FTS_NS && entry->fts_level > 0;
    if (counts) blocks += static_cast<std::uint64_t>(entry->fts_statp->st_blocks);
  }
  ::fts_close(walk);
  return blocks * 512;
}

}  // namespace

Result<> VolumeDisk::enter_own_mounts() {
  SANDLOT_CHECK(base::make_directories(scratch_, 0700));
  // Implies an own root, working directory and umask for this thread.
  if (::unshare(CLONE_NEWNS) != 0) return base::fail_errno("unshare mounts");
  ::umask(0);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return base::fail_errno("slave mounts");
  }
  if (::mount("none", scratch_.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0700") != 0) {
    return base::fail_errno("mount scratch");
  }
  if (::mount(nullptr, scratch_.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) {
    return base::fail_errno("private scratch");
  }
  // 0700: setuid files of the sandboxes lie there under the machine's own ids.
  SANDLOT_CHECK(base::make_directories(data_dir_ / "volumes", 0700));
  entered_ = true;
  return {};
}

Result<> VolumeDisk::make(const std::string& id, const Quota& quota) {
  if (!entered_) return not_started();
  if (quota) SANDLOT_CHECK(namespaces::LoopDevice::available());
  fs::path directory = trash() / trash_name(id);
  if (::mkdir(directory.c_str(), 0700) != 0) return base::fail_errno("make a volume");
  base::ScopeExit undo([&] { (void)namespaces::remove_entry(trash(), trash_name(id)); });
  if (quota) {
    SANDLOT_CHECK(
        namespaces::make_image(directory / "image", quota->size_gib * kGiB, quota->inodes));
    SANDLOT_TRY(auto image, namespaces::MountedImage::mount(directory / "image", scratch_, id));
    SANDLOT_TRY(auto root, base::open_file(image.point(), O_RDONLY | O_DIRECTORY));
    SANDLOT_CHECK(prepare_root(root.get()));
    auto held = std::make_shared<const base::UniqueFd>(std::move(root));
    opened_.emplace(id, Opened{std::move(image), std::move(held)});
  } else {
    fs::path data = directory / "data";
    if (::mkdir(data.c_str(), 0777) != 0) return base::fail_errno("make a volume");
  }
  undo.release();
  return {};
}

Result<> VolumeDisk::publish(const std::string& id) {
  fs::path from = trash() / trash_name(id);
  if (::rename(from.c_str(), place(id).c_str()) != 0) return base::fail_errno("show a volume");
  SANDLOT_TRY(auto parent, base::open_file(data_dir_ / "volumes", O_RDONLY | O_DIRECTORY));
  if (::fsync(parent.get()) != 0) return base::fail_errno("sync volumes");
  return {};
}

void VolumeDisk::discard(const std::string& id) {
  opened_.erase(id);
  if (::access(place(id).c_str(), F_OK) == 0) {
    (void)namespaces::move_to_trash(place(id), trash(), trash_name(id));
  }
  (void)namespaces::remove_entry(trash(), trash_name(id));
}

Result<VolumeRoot> VolumeDisk::open(const std::string& id, const Quota& quota) {
  if (!entered_) return not_started();
  auto found = opened_.find(id);
  if (found != opened_.end()) return found->second.root;
  Opened opened;
  if (quota) {
    SANDLOT_TRY(auto image, namespaces::MountedImage::mount(place(id) / "image", scratch_, id));
    SANDLOT_TRY(auto root, base::open_file(image.point(), O_RDONLY | O_DIRECTORY));
    opened.root = std::make_shared<const base::UniqueFd>(std::move(root));
    opened.image.emplace(std::move(image));
  } else {
    SANDLOT_TRY(auto root, namespaces::open_locked(place(id) / "data", O_RDONLY | O_DIRECTORY,
                                                   false, kWaitMs));
    opened.root = std::make_shared<const base::UniqueFd>(std::move(root));
  }
  VolumeRoot root = opened.root;
  opened_.emplace(id, std::move(opened));
  return root;
}

Result<std::uint64_t> VolumeDisk::used(const std::string& id, const Quota& quota) {
  if (!quota) return size_of_files(place(id) / "data");
  SANDLOT_TRY(VolumeRoot root, open(id, quota));
  struct statfs info {};
  if (::fstatfs(root->get(), &info) != 0) return base::fail_errno("measure a volume");
  return (info.f_blocks - info.f_bfree) * static_cast<std::uint64_t>(info.f_bsize);
}

Result<> VolumeDisk::grow(const std::string& id, const Quota& from, std::uint64_t size_gib) {
  SANDLOT_CHECK(open(id, from));
  return opened_.at(id).image->grow(place(id) / "image", size_gib * kGiB);
}

Result<> VolumeDisk::close(const std::string& id) {
  auto found = opened_.find(id);
  if (found == opened_.end()) return {};
  Opened& opened = found->second;
  for (int left = kMomentMs; opened.root.use_count() > 1; --left) {
    if (left == 0) return in_use();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Result<> closed;
  if (opened.image) {
    opened.root.reset();
    closed = opened.image->unmount(kLastUnmountMs);
    if (!closed && closed.error().code() == Errc::kConflict) {
      auto root = base::open_file(opened.image->point(), O_RDONLY | O_DIRECTORY);
      if (root) {
        opened.root = std::make_shared<const base::UniqueFd>(std::move(*root));
        return closed;
      }
    }
  }
  opened_.erase(found);
  return closed;
}

Result<> VolumeDisk::grow_unmounted(const std::string& id, std::uint64_t size_gib) {
  SANDLOT_CHECK(close(id));
  return namespaces::grow_unmounted_image(place(id) / "image", size_gib * kGiB);
}

Result<> VolumeDisk::check_unused(const std::string& id) {
  SANDLOT_CHECK(close(id));
  // Another emulator on this data directory may have it. Our own loop device goes in a moment.
  bool plain = ::access((place(id) / "data").c_str(), F_OK) == 0;
  auto lock = namespaces::open_locked(place(id) / (plain ? "data" : "image"), O_RDONLY, true,
                                      plain ? kMomentMs : kWaitMs);
  if (lock || lock.error().code() == Errc::kNotFound) return {};
  if (lock.error().code() == Errc::kConflict) return in_use();
  return base::Failure(std::move(lock).error());
}

Result<> VolumeDisk::remove(const std::string& id) {
  opened_.erase(id);  // by a request for its files that came too late
  auto moved = namespaces::move_to_trash(place(id), trash(), trash_name(id));
  if (!moved && moved.error().code() == Errc::kNotFound) return {};
  return moved;
}

Result<> VolumeDisk::delete_removed(const std::string& id) {
  return namespaces::remove_entry(trash(), trash_name(id));
}

bool VolumeDisk::is_alone() const {
  std::error_code error;
  fs::directory_iterator it(data_dir_ / "sandboxes", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename();
    if (name != instance_ && namespaces::is_live_instance(data_dir_, name)) return false;
  }
  return true;
}

void VolumeDisk::remove_all_but(const std::set<std::string>& ids) {
  const bool alone = is_alone();
  std::error_code error;
  fs::directory_iterator it(data_dir_ / "volumes", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::string id = it->path().filename();
    struct stat info {};
    if (ids.contains(id) || ::lstat(it->path().c_str(), &info) != 0) continue;
    // Another emulator may be making it at this moment.
    if (!alone && ::time(nullptr) - info.st_ctime < kOrphanAge) continue;
    if (remove(id)) (void)delete_removed(id);
  }
}

}  // namespace emulator::volumes
