// A file system of a fixed size in a sparse file: what a volume with a quota is. Made with the
// tools of e2fsprogs, mounted through a loop device on a thread that has a mount namespace of its
// own, so that mount and device go with the emulator however it ends. Used by emulator/volumes;
// knows nothing of names, sandboxes and ids. Blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/loop_device.h"

namespace namespaces {

// Opens a file or directory with a flock that outlives this process for as long as a loop device
// uses the descriptor: nobody mounts an image twice. Waits for a dead emulator's kernel objects (at
// most `wait_ms`), then kConflict.
base::Result<base::UniqueFd> open_locked(const std::filesystem::path& path,
                                         int flags,
                                         bool exclusive,
                                         int wait_ms);

// A new sparse file with an empty ext4 for at least `inodes` files. The root belongs to root.
base::Result<> make_image(const std::filesystem::path& image,
                          std::uint64_t bytes,
                          std::uint64_t inodes);
// Of an image that is not mounted.
base::Result<> grow_unmounted_image(const std::filesystem::path& image, std::uint64_t bytes);

class MountedImage {
 public:
  // At `scratch`/`name`, on the calling thread's mount namespace. kUnimplemented where there are no
  // loop devices.
  static base::Result<MountedImage> mount(const std::filesystem::path& image,
                                          const std::filesystem::path& scratch,
                                          const std::string& name);
  MountedImage(MountedImage&&) = default;
  MountedImage& operator=(MountedImage&&) = delete;
  // Same thread. Never waits for users: the kernel finishes when the last one has gone.
  ~MountedImage();

  const std::filesystem::path& point() const { return point_; }
  // Same thread. kConflict when somebody else has a mount of it, or a file in it, still after
  // `wait_ms` (one that was unmounted by force, or copied into another mount namespace): it is
  // mounted as before then. After any other end it is not mounted, and good for nothing any more.
  base::Result<> unmount(int wait_ms);
  // While it is in use. kPermissionDenied for a process without CAP_SYS_RESOURCE.
  base::Result<> grow(const std::filesystem::path& image, std::uint64_t bytes);

 private:
  MountedImage(LoopDevice device, std::filesystem::path point)
      : device_(std::move(device)), point_(std::move(point)) {}

  LoopDevice device_;
  std::filesystem::path point_;  // empty when moved from
};

}  // namespace namespaces
