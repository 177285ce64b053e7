// What snapshots left on the disk that nothing names: for `sandlot gc`, beside running emulators or
// without any. A running one collects by itself (snapshot_catalogue.h). Blocking.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/base/result.h"

namespace emulator::sandboxes {

// One line for each directory that is removed or, with `dry_run`, would be: no row of the database
// has its name, and nobody holds it. Nothing without a database.
base::Result<std::vector<std::string>> collect_snapshot_garbage(
    const std::filesystem::path& data_dir, bool dry_run);

}  // namespace emulator::sandboxes
