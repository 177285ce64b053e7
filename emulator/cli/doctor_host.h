// What the machine's software and file systems offer to the `base` template and to sandboxes. Used
// by `doctor`.
#pragma once

#include <filesystem>

#include "emulator/cli/doctor_report.h"

namespace emulator::cli {

// Programs of contract-envd 5.6 that `base` takes from the machine's /usr.
Checks check_base_tools();
// A merged /usr.
Check check_merged_usr();
// Free space and project quotas of the data directory's file system.
Checks check_disk(const std::filesystem::path& data_dir);
// AppArmor's limit on user namespaces, seccomp, inotify.
Checks check_limits();

}  // namespace emulator::cli
