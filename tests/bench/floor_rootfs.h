// The floor's file systems: a clean mount namespace with a handful of mounts (performance.md 2.3),
// the skeleton root and the host's /usr as idmapped read-only layers, one template /dev; and the
// overlay of one sandbox. Real root makes everything here; the child only attaches it
// (floor_child.h).
#pragma once

#include <string>

#include "emulator/base/unique_fd.h"
#include "tests/bench/floor_network.h"

namespace bench {

// The ids of the sandbox's users begin here; all floor sandboxes share the range.
inline constexpr unsigned kFirstId = 1U << 29U;
inline constexpr unsigned kIdCount = 65536;

// Paths in the clean mount namespace.
inline constexpr const char* kCgroupRoot = "/cgroup";
inline constexpr const char* kUsrLayer = "/usr";
inline constexpr const char* kDevTemplate = "/dev";
inline constexpr const char* kNewRoot = "/new";

// Writes "0 kFirstId kIdCount" to the uid and gid map of `pid`.
FailedStep map_ids(int pid);

// Makes the directories and files below `directory`/skeleton: an empty Debian-like root, /etc as
// far as a login shell reads it.
FailedStep make_skeleton(const std::string& directory);

// Unshares the mount namespace and replaces it by a clean one. `directory` (on the data disk) is
// /data in it.
FailedStep enter_clean_namespace(const std::string& directory);

// A detached overlay mount over the skeleton: upper and work are new directories of sandbox `id`.
FailedStep make_overlay(unsigned id, base::UniqueFd& mount);

// Removes upper and work of sandbox `id`: slow, not part of what is measured.
void remove_overlay_directories(unsigned id);

}  // namespace bench
