#include "namespaces/volume_image.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "emulator/base/scope_exit.h"

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

Result<> run(std::vector<std::string> argv) {
  base::ToolSpec spec;
  spec.argv = std::move(argv);
  spec.timeout = std::chrono::minutes(2);
  SANDLOT_TRY(auto output, base::run_tool(spec));
  if (output.exit_code == 0) return {};
  std::string text = output.err.substr(0, 300);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return base::fail(base::Errc::kInternal, spec.argv.front() + ": " + text);
}

Result<> set_size(const fs::path& image, std::uint64_t bytes) {
  SANDLOT_TRY(auto file, base::open_file(image, O_WRONLY));
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    return base::fail_errno("size of " + image.string());
  }
  return {};
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
                     std::to_string(inodes + kReservedInodes), "-J", "size=8", "-E",
                     "nodiscard,lazy_itable_init=0,lazy_journal_init=1", image.string()}));
  SANDLOT_TRY(auto made, base::open_file(image, O_RDONLY));
  if (::fsync(made.get()) != 0) return base::fail_errno("sync " + image.string());
  discard.release();
  return {};
}

Result<> grow_unmounted_image(const fs::path& image, std::uint64_t bytes) {
  // The kernel lets go of a mount's device a little after the mount.
  SANDLOT_TRY(auto lock, open_locked(image, O_RDWR, true, kWaitMs));
  SANDLOT_CHECK(set_size(image, bytes));
  // -f: it was unmounted in order, the tool would only ask for a check.
  return run({"resize2fs", "-f", image.string(), std::to_string(bytes / 1024) + "K"});
}

Result<MountedImage> MountedImage::mount(const fs::path& image,
                                         const fs::path& scratch,
                                         const std::string& name) {
  SANDLOT_TRY(auto file, open_locked(image, O_RDWR, true, kWaitMs));
  SANDLOT_TRY(auto device, LoopDevice::attach(file, scratch));
  UniqueFd context(::fsopen("ext4", FSOPEN_CLOEXEC));
  if (!context) return base::fail_errno("open ext4");
  auto set = [&](auto command, const char* key, const char* value) {
    return ::fsconfig(context.get(), command, key, value, 0) == 0;
  };
  // discard: what is deleted in the volume is free on the machine's disk again.
  if (!set(FSCONFIG_SET_STRING, "source", device.path().c_str()) ||
      !set(FSCONFIG_SET_FLAG, "discard", nullptr) || !set(FSCONFIG_CMD_CREATE, nullptr, nullptr)) {
    return base::fail_errno("open the volume's file system");
  }
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount) return base::fail_errno("mount the volume's file system");
  fs::path point = scratch / name;
  if (::mkdir(point.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::fail_errno("make " + point.string());
  }
  if (::move_mount(mount.get(), "", AT_FDCWD, point.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return base::fail_errno("attach the volume's file system");
  }
  return MountedImage(std::move(device), std::move(point));
}

MountedImage::~MountedImage() {
  if (point_.empty()) return;
  ::umount2(point_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  ::rmdir(point_.c_str());
}

Result<> MountedImage::grow(const fs::path& image, std::uint64_t bytes) {
  SANDLOT_TRY(auto root, base::open_file(point_, O_RDONLY | O_DIRECTORY));
  SANDLOT_CHECK(set_size(image, bytes));
  SANDLOT_CHECK(device_.refresh_size());
  std::uint64_t blocks = bytes / kBlock;
  if (::ioctl(root.get(), EXT4_IOC_RESIZE_FS, &blocks) == 0) return {};
  return base::fail_errno("grow the volume's file system");
}

}  // namespace namespaces
