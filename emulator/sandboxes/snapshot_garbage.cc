#include "emulator/sandboxes/snapshot_garbage.h"

#include "emulator/sandboxes/snapshot_layers.h"
#include "emulator/store/database.h"

namespace emulator::sandboxes {

namespace fs = std::filesystem;

base::Result<std::vector<std::string>> collect_snapshot_garbage(const fs::path& data_dir,
                                                                bool dry_run) {
  std::vector<std::string> lines;
  std::error_code error;
  if (!fs::exists(data_dir / "sandlot.db", error) || !fs::exists(data_dir / "snapshots", error)) {
    return lines;
  }
  SnapshotLayers layers(data_dir, "gc");
  auto claims = layers.claim({});
  // Read after the claims: whoever finished a layer before has its row.
  SANDLOT_TRY(auto database, store::Database::open(data_dir / "sandlot.db"));
  std::string named;
  for (const char* query : {"SELECT body FROM snapshots", "SELECT body FROM paused_sandboxes"}) {
    SANDLOT_TRY(auto rows, database->query_now(query));
    for (const store::Row& row : rows) named += store::text(row[0]);
  }
  // What is needed is given back before anything is deleted.
  std::erase_if(claims, [&](const SnapshotLayers::Claim& claim) {
    return named.find(claim.id) != std::string::npos;
  });
  for (const auto& unused : claims) {
    fs::path directory = layers.directory(unused.id);
    lines.push_back("directory " + directory.string());
    if (!dry_run) layers.discard(directory);
  }
  return lines;
}

}  // namespace emulator::sandboxes
