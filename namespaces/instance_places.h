// The directories and cgroups that an instance needs before its first sandbox. Used by
// linux_runtime.cc. Blocking.
#pragma once

#include "emulator/base/result.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/container_runtime.h"

namespace namespaces {

// Below the instance's run directory: an empty directory to mount over, where nobody else sees it.
inline constexpr const char* kScratch = "mounts";

base::Result<> make_places(const RuntimeOptions& options);

// When nothing of the instance is in use: only what is empty; the rest of a crash is for gc.
void remove_places(const CgroupLayout& layout, const RuntimeOptions& options);

}  // namespace namespaces
