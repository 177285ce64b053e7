// What a sandbox sees as its file system: which mounts are made, in which order, and the change of
// root. Runs in the child between clone and the agent, in the child's own user and mount
// namespaces: raw system calls, no allocation, no C++ library.
#pragma once

#include <array>
#include <cstddef>

namespace namespaces {

// Paths of /proc and /sys that containers do not show or do not let write. Only those that this
// kernel has: filled once, when the spawner starts.
class ProtectedPaths {
 public:
  enum class Kind { kHiddenFile, kHiddenDirectory, kReadOnly };
  struct Item {
    const char* path = nullptr;  // relative to the root
    Kind kind = Kind::kReadOnly;
  };

  // Looks at the mounted /proc and /sys.
  void collect();
  const Item* begin() const { return items_.data(); }
  const Item* end() const { return items_.data() + size_; }

 private:
  std::array<Item, 32> items_{};
  std::size_t size_ = 0;
};

// Detached mounts made by real root (rootfs.h, spawner.cc).
struct MountInputs {
  int root_fd = -1;
  int usr_fd = -1;  // -1 = no second overlay
  int dev_fd = -1;  // tmpfs with the device nodes
  int sys_fd = -1;  // read-only sysfs of the slot's network namespace
};

// The name of the step that failed (errno says why), or nullptr.
using FailedStep = const char*;

// Where the new root is attached in the spawner's own, almost empty, mount namespace.
inline constexpr const char* kNewRoot = "/root";

// Attaches everything, makes what belongs to the child's namespaces (proc, devpts, mqueue, shm,
// run), hides and protects, and makes the new root the only mount tree.
FailedStep enter_new_root(const MountInputs& inputs, const ProtectedPaths& paths);

}  // namespace namespaces
