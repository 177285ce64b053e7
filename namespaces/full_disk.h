// A sandbox whose disk is full, for as long as somebody wants: whatever is opened from then on can
// be read but not changed (ENOSPC), and everything is there as it was when that is over. Over each
// directory of its root lies an overlay that has no room for a copy; what is below is not touched.
// Used by linux_runtime.cc. Blocking (some milliseconds).
//
// Not covered: files that were open before and directories in which a process stood before, as
// names that are looked up from there do not meet the overlay; names in / itself; what is no part
// of the sandbox's disk (volumes, /dev/shm, /run).
#pragma once

#include <filesystem>
#include <vector>

#include "emulator/base/result.h"
#include "namespaces/volume_mount.h"

namespace namespaces {

// Of one sandbox, which it outlives or not: the mounts go with the sandbox's mount namespace.
class FullDisk {
 public:
  // Idempotent. `scratch` is an empty directory; nothing stays in it. After an error the disk is as
  // it was. kUnimplemented when this kernel cannot lay an overlay over another (one of the
  // template's own layers is one).
  base::Result<> set(const SandboxPlace& sandbox, const std::filesystem::path& scratch, bool full);

 private:
  std::vector<MountId> mounts_;
};

}  // namespace namespaces
