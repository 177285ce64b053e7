// What the kernel must offer, tried for real in a throw-away namespace: clone3 with every
// namespace, an own /proc, the new mount calls, idmapped layers, an overlay on the data directory's
// file system. Used by `doctor`.
#pragma once

#include <filesystem>

#include "emulator/cli/doctor_report.h"

namespace emulator::cli {

Check check_privilege();
// Makes and removes one directory beside the data directory (or its nearest existing parent).
Checks check_kernel(const std::filesystem::path& data_dir);
// Control groups: makes and removes an empty one in each hierarchy that would be used.
Checks check_cgroups();

}  // namespace emulator::cli
