#include <unistd.h>

#include <iostream>

#include <nlohmann/json.hpp>

#include "emulator/cli/commands.h"
#include "emulator/cli/garbage.h"
#include "emulator/sandboxes/paused_store.h"
#include "emulator/sandboxes/snapshot_garbage.h"

namespace emulator::cli {

int run_gc(const config::CommandLine& line) {
  if (::geteuid() != 0) {
    std::cerr << "sandlot gc needs root (mounts, cgroups): run it with sudo" << std::endl;
    return config::kPrivilege;
  }
  // Without knowing what to keep it removes nothing.
  auto kept = sandboxes::read_paused_files(line.options.data_dir);
  if (!kept) {
    std::cerr << "sandlot gc: " << kept.error().message() << std::endl;
    bool newer = kept.error().code() == base::Errc::kFailedPrecondition;
    return newer ? config::kConfiguration : config::kFailure;
  }
  auto report = collect_garbage(line.options.run_dir, line.options.data_dir, line.dry_run, *kept);
  if (!report) {
    std::cerr << "sandlot gc: " << report.error().message() << std::endl;
    return config::kFailure;
  }
  auto layers = sandboxes::collect_snapshot_garbage(line.options.data_dir, line.dry_run);
  if (layers) report->removed.insert(report->removed.end(), layers->begin(), layers->end());
  if (!layers) report->failed.push_back("what snapshots left: " + layers.error().message());
  const char* verb = line.dry_run ? "would remove " : "removed ";
  for (const std::string& object : report->removed) std::cout << verb << object << "\n";
  for (const std::string& object : report->failed)
    std::cerr << "sandlot gc: could not remove " << object << "\n";
  std::cout << report->dead.size() << " dead and " << report->alive.size() << " live instances; "
            << (line.dry_run ? "to remove: " : "removed: ") << report->removed.size() << std::endl;
  return report->failed.empty() ? config::kOk : config::kFailure;
}

}  // namespace emulator::cli
