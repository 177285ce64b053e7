// Acting inside a running sandbox from outside: a thread enters its mount namespace, finds files
// there whatever links the sandbox makes, and comes to an end. Used by volume_mount.cc and
// full_disk.cc; of interest to nobody else. Blocking.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/volume_mount.h"

namespace namespaces {

// A file of the sandbox's pid 1 below /proc, for reading; never one of a process that got its
// number later (kNotFound).
base::Result<base::UniqueFd> open_of(const SandboxPlace& sandbox, const std::string& name);

// Runs `work` on a thread of its own in the sandbox's mount namespace, and waits for it. It may do
// everything that real root may; files that it makes belong to the sandbox's root.
base::Result<> run_inside(const SandboxPlace& sandbox, const std::function<base::Result<>()>& work);

// openat2(2) below `directory`, "" being that itself; no descriptor and errno after a failure.
inline constexpr std::uint64_t kInRoot = 0x10 | 0x02;  // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
base::UniqueFd open_in(int directory,
                       const std::string& path,
                       std::uint64_t flags,
                       std::uint64_t resolve);

// Of the mount that the descriptor is on.
base::Result<MountId> mount_id_of(int fd);

// Where each mount is, as the sandbox sees it.
base::Result<std::map<MountId, std::string>> mount_table(const SandboxPlace& sandbox);

}  // namespace namespaces
