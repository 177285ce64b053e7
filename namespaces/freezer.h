// Waits until a cgroup is frozen, or is not any more. Used by the runtime.
#pragma once

#include "emulator/base/async.h"
#include "emulator/base/result.h"
#include "namespaces/cgroup.h"

namespace namespaces {

// Returns when the kernel says that the cgroup is so; idempotent. kDeadlineExceeded after one
// second, kFailedPrecondition once `ended` (its processes are gone). Both outlive the task.
base::Task<> set_frozen(Cgroup& cgroup, bool frozen, const bool& ended);

}  // namespace namespaces
