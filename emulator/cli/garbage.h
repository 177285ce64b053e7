// What crashed emulators left, all of it: namespaces/gc.h and, before that, what an uplink left in
// the machine's own network namespace (its record is in a directory that gc removes). Used by
// `sandlot gc` and by every start. Blocking.
#pragma once

#include <filesystem>

#include "emulator/base/result.h"
#include "namespaces/gc.h"

namespace emulator::cli {

// With `dry_run` says what it would remove; `kept`: paused sandboxes, whose files stay. An instance
// whose uplink cannot be removed is left as it is, to be tried again.
base::Result<namespaces::GcReport> collect_garbage(const std::filesystem::path& run_root,
                                                   const std::filesystem::path& data_dir,
                                                   bool dry_run,
                                                   const std::set<std::string>& kept);

}  // namespace emulator::cli
