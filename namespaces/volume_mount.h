// Directories of the machine inside a running sandbox: mounted into its mount namespace from
// outside, with their owners shifted into its id range, and taken out again. What the sandbox does
// meanwhile with names and links can neither move a mount elsewhere nor make us unmount another.
// Used by emulator/volumes. Blocking (about a millisecond).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace namespaces {

// A running (or frozen) sandbox. kNotFound from everything below when its pid 1 is gone.
struct SandboxPlace {
  pid_t pid = -1;  // of its pid 1, in our pid namespace
  int pidfd = -1;  // of the same process; borrowed
};

// Names a mount of a sandbox for as long as it exists (STATX_MNT_ID).
using MountId = std::uint64_t;

// Mounts the directory `source` at `path` (absolute, no "." and no ".."), which is made when it
// is missing, as a directory of the sandbox's root. The calling thread's mount namespace must be
// the one of `source`. kInvalidArgument when `path` is no directory.
base::Result<MountId> mount_into(const SandboxPlace& sandbox, int source, const std::string& path);

// kConflict when something in the sandbox uses it; `force` takes it away all the same, with what
// is mounted below it: what has a file open there keeps it until it is closed. A mount that is not
// there any more is fine.
base::Result<> unmount_from(const SandboxPlace& sandbox, MountId mount, bool force);

// Every mount that the sandbox has now.
base::Result<std::set<MountId>> mounts_of(const SandboxPlace& sandbox);

}  // namespace namespaces
