// What crashed instances left behind: cgroups, mounts, run directories, writable directories,
// trash. Used by `sandlot gc` and by every start. Never touches an object of a live instance,
// nothing whose owner is unknown (a record that cannot be read is reported), and no files of a
// paused sandbox. Veths and rules are netfilter's
// (emulator/cli/garbage.h collects all). Blocking.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "namespaces/instance.h"

namespace namespaces {

struct GcReport {
  std::vector<std::string> dead;   // instances whose objects were removed
  std::vector<std::string> alive;  // left alone
  std::vector<std::string>
      removed;  // one line an object: "cgroup /sys/...", "directory /...", "mount /..."
  std::vector<std::string> failed;  // same, with the reason
};

// With `dry_run` says what it would remove. Missing directories are fine. `only`: of the dead
// instances, these alone; the others are in neither list of the report. `kept`: sandboxes whose
// writable directory stays, whoever left it (kept_files.h).
base::Result<GcReport> collect(const std::filesystem::path& run_root,
                               const std::filesystem::path& data_dir,
                               bool dry_run,
                               const std::optional<std::set<std::string>>& only = std::nullopt,
                               const std::set<std::string>& kept = {});

// For leak tests: what exists of an instance right now.
struct ObjectCounts {
  std::size_t cgroups = 0;  // of sandboxes, over all hierarchies
  std::size_t directories = 0;
  std::size_t trash = 0;
};
base::Result<ObjectCounts> count_objects(const std::filesystem::path& data_dir,
                                         const std::string& instance);

}  // namespace namespaces
