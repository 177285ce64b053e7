// What volumes with a quota need of the machine: loop devices and the tools of e2fsprogs. Used by
// `doctor`.
#pragma once

#include "emulator/cli/doctor_report.h"

namespace emulator::cli {

Checks check_volumes();

}  // namespace emulator::cli
