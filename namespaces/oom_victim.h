// Whom the kernel would kill if the sandbox ran out of memory now. Used by linux_runtime.cc.
// Blocking: reads two files of each process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "emulator/base/result.h"
#include "namespaces/cgroup.h"

namespace namespaces {

struct ProcessMemory {
  pid_t pid = -1;
  std::uint64_t bytes = 0;  // resident, swapped, and in page tables
  int adjustment = 0;       // oom_score_adj; -1000: never
};

// By oom_badness() of the kernel (mm/oom_kill.c): memory, plus a thousandth of the limit for each
// point of the adjustment. nullopt: nobody may be killed.
std::optional<pid_t> oom_victim(std::span<const ProcessMemory> processes, std::uint64_t limit);

// "VmRSS", "VmSwap" and "VmPTE" of /proc/<pid>/status, in bytes.
std::uint64_t memory_of_status(std::string_view status);

// kNotFound when it has ended.
base::Result<ProcessMemory> memory_of(pid_t pid);

// Kills that one of the cgroup, by SIGKILL as the kernel does; never `spared`.
// kFailedPrecondition when there is nobody else.
base::Result<> kill_oom_victim(const Cgroup& cgroup, pid_t spared);

}  // namespace namespaces
