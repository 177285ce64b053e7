#include "namespaces/volume_image.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "emulator/base/scope_exit.h"

#include <endian.h>

namespace namespaces {

namespace fs = std::filesystem;
using base::Result;
using base::UniqueFd;

namespace {

// linux/ext4.h is not among the headers that programs get: the number is the kernel's interface.
#ifndef EXT4_IOC_RESIZE_FS
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, std::uint64_t)
#endif

constexpr std::uint64_t kBlock = 4096;
// mkfs keeps the first ones to itself.
constexpr std::uint64_t kReservedInodes = 11;
constexpr int kWaitMs = 5000;
constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kJournal = 8 * kMiB;

// `good`: the highest exit code that is no failure.
Result<> run(std::vector<std::string> argv, int good = 0) {
  base::ToolSpec spec;
  spec.argv = std::move(argv);
  spec.timeout = std::chrono::minutes(2);
  SANDLOT_TRY(auto output, base::run_tool(spec));
  if (output.exit_code <= good) return {};
  // The tools do not say it by their exit code.
  bool full = (output.out + output.err).find("No space left on device") != std::string::npos;
  std::string text = output.err.substr(0, 300);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return base::fail(full ? base::Errc::kNoSpace : base::Errc::kInternal,
                    spec.argv.front() + ": " + text);
}

// Journal, bitmaps and inode tables are at the beginning (packed_meta_blocks). They have their
// place on the disk from the start: where the disk is full, writing files fails, but nothing that
// was written breaks.
Result<> reserve_metadata(int image, std::uint64_t bytes) {
  std::uint64_t size = std::min(kJournal + kMiB + bytes / 2048, 64 * kMiB);
  if (::fallocate(image, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) == 0) return {};
  if (errno == EOPNOTSUPP) return {};
  return base::fail_errno("reserve space for the volume");
}

// 0: in order, 1 and 2: mended.
Result<> check_file_system(const fs::path& image) {
  return run({"e2fsck", "-f", "-y", image.string()}, 2);
}

// Whether the kernel has noted an error in it: of the disk, when that was full.
Result<bool> has_noted_error(int image) {
  constexpr off_t kState = 1024 + 0x3a;
  constexpr std::uint16_t kErrors = 2;
  std::uint16_t state = 0;
  if (::pread(image, &state, sizeof state, kState) != sizeof state) {
    return base::fail_errno("read the volume's file system");
  }
  return (le16toh(state) & kErrors) != 0;
}

Result<> set_size(const fs::path& image, std::uint64_t bytes) {
  SANDLOT_TRY(auto file, base::open_file(image, O_WRONLY));
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    return base::fail_errno("size of " + image.string());
  }
  return {};
}

// What growing writes, and a little more: it must not break off in the middle.
Result<> check_room(const fs::path& image, std::uint64_t bytes) {
  struct statvfs disk {};
  if (::statvfs(image.c_str(), &disk) != 0) return base::fail_errno("measure the disk");
  std::uint64_t needed = 2 * kMiB + bytes / 4096;
  if (std::uint64_t{disk.f_bavail} * disk.f_frsize >= needed) return {};
  return base::fail(base::Errc::kNoSpace, "no space left on the disk to grow the volume");
}

// Of a device that is mounted already, another mount of the same file system.
Result<> mount_device(const std::string& device, const fs::path& point) {
  UniqueFd context(::fsopen("ext4", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open ext4");
  auto set = [&](auto command, const char* key, const char* value) {
    return ::fsconfig(context.get(), command, key, value, 0) == 0;
  };
  // discard: what is deleted in the volume is free on the machine's disk again. dioread_lock: else
  // what is written again and synced, after the machine's disk was full, is zeros at the next
  // mount.
  if (!set(FSCONFIG_SET_STRING, "source", device.c_str()) ||
      !set(FSCONFIG_SET_FLAG, "discard", nullptr) ||
      !set(FSCONFIG_SET_FLAG, "dioread_lock", nullptr) ||
      !set(FSCONFIG_CMD_CREATE, nullptr, nullptr)) {
    return base::fail_errno("open the volume's file system");
  }
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount) return base::fail_errno("mount the volume's file system");
  if (::mkdir(point.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::fail_errno("make " + point.string());
  }
  if (::move_mount(mount.get(), "", AT_FDCWD, point.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return base::fail_errno("attach the volume's file system");
  }
  return {};
}

// Whether `call` succeeds before `wait_ms` are over; errno is of its last failure, EBUSY when it
// never ended otherwise.
template <class Call>
bool succeeds_within(int wait_ms, Call call) {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (!call()) {
    if (errno != EBUSY || std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace

Result<UniqueFd> open_locked(const fs::path& path, int flags, bool exclusive, int wait_ms) {
  SANDLOT_TRY(auto file, base::open_file(path, flags));
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (::flock(file.get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return base::fail_errno("lock " + path.string());
    if (std::chrono::steady_clock::now() > until) {
      return base::fail(base::Errc::kConflict, "the volume is in use (by another emulator?)");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return file;
}

Result<> make_image(const fs::path& image, std::uint64_t bytes, std::uint64_t inodes) {
  SANDLOT_TRY(auto file, base::open_file(image, O_WRONLY | O_CREAT | O_EXCL, 0600));
  file.reset();
  base::ScopeExit discard([&] { ::unlink(image.c_str()); });
  SANDLOT_CHECK(set_size(image, bytes));
  // No blocks kept for root, a small journal, nothing written that a sparse file has anyway.
  SANDLOT_CHECK(run({"mkfs.ext4", "-q", "-F", "-m", "0", "-b", std::to_string(kBlock), "-N",
                     std::to_string(inodes + kReservedInodes), "-J",
                     "size=" + std::to_string(kJournal / kMiB), "-E",
                     "nodiscard,lazy_itable_init=0,lazy_journal_init=1,packed_meta_blocks=1",
                     image.string()}));
  SANDLOT_TRY(auto made, base::open_file(image, O_RDWR));
  SANDLOT_CHECK(reserve_metadata(made.get(), bytes));
  if (::fsync(made.get()) != 0) return base::fail_errno("sync " + image.string());
  discard.release();
  return {};
}

Result<> grow_unmounted_image(const fs::path& image, std::uint64_t bytes) {
  // The kernel lets go of a mount's device a little after the mount.
  SANDLOT_TRY(auto lock, open_locked(image, O_RDWR, true, kWaitMs));
  SANDLOT_CHECK(check_room(image, bytes));
  SANDLOT_CHECK(check_file_system(image));
  SANDLOT_CHECK(set_size(image, bytes));
  return run({"resize2fs", "-f", image.string(), std::to_string(bytes / 1024) + "K"});
}

Result<MountedImage> MountedImage::mount(const fs::path& image,
                                         const fs::path& scratch,
                                         const std::string& name) {
  SANDLOT_TRY(auto file, open_locked(image, O_RDWR, true, kWaitMs));
  SANDLOT_TRY(bool broken, has_noted_error(file.get()));
  if (broken) SANDLOT_CHECK(check_file_system(image));
  SANDLOT_TRY(auto device, LoopDevice::attach(file, scratch));
  fs::path point = scratch / name;
  SANDLOT_CHECK(mount_device(device.path(), point));
  return MountedImage(std::move(device), std::move(point));
}

MountedImage::~MountedImage() {
  if (point_.empty()) return;
  ::umount2(point_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  ::rmdir(point_.c_str());
}

Result<> MountedImage::unmount(int wait_ms) {
  auto unmounted = [&] { return ::umount2(point_.c_str(), UMOUNT_NOFOLLOW) == 0; };
  // The file system has its device to itself until its last mount, wherever that is, has gone.
  auto is_free = [&] {
    UniqueFd alone(::open(device_.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    return static_cast<bool>(alone);
  };
  if (!succeeds_within(wait_ms, unmounted)) {
    if (errno == EBUSY) return base::fail(base::Errc::kConflict, "the volume is in use");
    return base::fail_errno("unmount the volume's file system");
  }
  bool free = succeeds_within(wait_ms, is_free);
  bool busy = !free && errno == EBUSY;
  Result<> result;
  if (busy) {
    // Our descriptor has kept the device, and with it the lock.
    result = mount_device(device_.path(), point_);
    if (result) return base::fail(base::Errc::kConflict, "the volume is in use");
  } else if (!free) {
    result = base::fail_errno("look at the volume's device");
  }
  ::rmdir(point_.c_str());
  point_.clear();
  return result;
}

Result<> MountedImage::grow(const fs::path& image, std::uint64_t bytes) {
  SANDLOT_TRY(auto root, base::open_file(point_, O_RDONLY | O_DIRECTORY));
  SANDLOT_CHECK(check_room(image, bytes));
  SANDLOT_CHECK(set_size(image, bytes));
  SANDLOT_CHECK(device_.refresh_size());
  std::uint64_t blocks = bytes / kBlock;
  if (::ioctl(root.get(), EXT4_IOC_RESIZE_FS, &blocks) == 0) return {};
  return base::fail_errno("grow the volume's file system");
}

}  // namespace namespaces
