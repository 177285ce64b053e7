#include "emulator/cli/garbage.h"

#include "netfilter/machine_uplink.h"

namespace emulator::cli {

base::Result<namespaces::GcReport> collect_garbage(const std::filesystem::path& run_root,
                                                   const std::filesystem::path& data_dir,
                                                   bool dry_run,
                                                   const std::set<std::string>& kept) {
  SANDLOT_TRY(auto found, namespaces::collect(run_root, data_dir, true, std::nullopt, kept));
  std::vector<std::string> removed;
  std::vector<std::string> failed;
  // Those whose uplink is undone. The others keep their directory, with the record of it; one that
  // has died since is the next collection's.
  std::set<std::string> undone;
  for (const std::string& instance : found.dead) {
    auto lines = netfilter::remove_left_uplink(run_root / instance, dry_run);
    if (!lines) {
      failed.push_back("uplink of instance " + instance + ": " + lines.error().message());
      continue;
    }
    undone.insert(instance);
    removed.insert(removed.end(), lines->begin(), lines->end());
  }
  if (!dry_run) {
    SANDLOT_TRY(found, namespaces::collect(run_root, data_dir, false, undone, kept));
  }
  found.failed.insert(found.failed.end(), failed.begin(), failed.end());
  found.removed.insert(found.removed.begin(), removed.begin(), removed.end());
  return found;
}

}  // namespace emulator::cli
