#include "emulator/sandboxes/paused_store.h"

#include "emulator/base/log.h"
#include "namespaces/kept_files.h"

namespace emulator::sandboxes {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;
using store::text;
using store::values;

namespace {

// Its files are not synced either (docs/state.md), and neither a pause nor going on is to wait for
// the disk.
constexpr auto kDurability = store::Durability::kProcess;

}  // namespace

PausedStore::PausedStore(store::Database& database, fs::path data_dir, std::string instance)
    : database_(database), data_dir_(std::move(data_dir)), instance_(std::move(instance)) {}

base::Task<> PausedStore::save(PausedRecord record, base::TimePoint now) {
  std::int64_t paused_at =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  auto parameters =
      values(record.info.sandbox_id, instance_, record.files, encode(record), paused_at);
  auto saved = co_await database_.exec(
      "INSERT OR REPLACE INTO paused_sandboxes (sandbox_id, instance, files, body, paused_at) "
      "VALUES (?, ?, ?, ?, ?)",
      std::move(parameters), kDurability);
  if (!saved) co_return base::fail(std::move(saved).error());
  co_return Result<>();
}

base::Task<> PausedStore::remove(std::string id) {
  auto removed = co_await database_.exec("DELETE FROM paused_sandboxes WHERE sandbox_id = ?",
                                         values(std::move(id)), kDurability);
  if (!removed) co_return base::fail(std::move(removed).error());
  co_return Result<>();
}

// kConflict when another emulator, that starts at the same moment, was faster.
Result<> PausedStore::take_over(const PausedRecord& record, const std::string& owner) {
  const std::string& id = record.info.sandbox_id;
  SANDLOT_TRY(auto changed, database_.transaction_now({{"UPDATE paused_sandboxes SET instance = ? "
                                                        "WHERE sandbox_id = ? AND instance = ?",
                                                        values(instance_, id, owner)}}));
  if (changed.front().rows == 0) return base::fail(Errc::kConflict, "taken by another emulator");
  // From here on the row is ours; a crash before the move is why adopt_files looks everywhere.
  auto adopted = namespaces::adopt_files(data_dir_, instance_, record.files);
  if (adopted || adopted.error().code() != Errc::kNotFound) return adopted;
  SANDLOT_CHECK(database_.transaction_now(
      {{"DELETE FROM paused_sandboxes WHERE sandbox_id = ?", values(id)}}));
  return adopted;
}

Result<std::vector<PausedRecord>> PausedStore::adopt() {
  SANDLOT_TRY(auto rows,
              database_.query_now("SELECT sandbox_id, instance, body FROM paused_sandboxes"));
  std::vector<PausedRecord> adopted;
  for (const store::Row& row : rows) {
    const std::string& id = text(row[0]);
    const std::string& owner = text(row[1]);
    if (namespaces::is_live_instance(data_dir_, owner)) continue;
    auto record = decode_paused(text(row[2]));
    auto taken = record ? take_over(*record, owner) : base::fail(record.error());
    if (taken) {
      adopted.push_back(std::move(*record));
    } else if (taken.error().code() != Errc::kConflict) {
      base::log::warn("paused.lost", {{"sandbox", id}, {"error", taken.error().message()}});
    }
  }
  return adopted;
}

Result<std::set<std::string>> paused_files(store::Database& database) {
  SANDLOT_TRY(auto rows, database.query_now("SELECT files FROM paused_sandboxes"));
  std::set<std::string> names;
  for (const store::Row& row : rows) names.insert(text(row.front()));
  return names;
}

Result<std::set<std::string>> read_paused_files(const fs::path& data_dir) {
  std::error_code error;
  fs::path file = data_dir / "sandlot.db";
  if (!fs::exists(file, error)) return std::set<std::string>();
  SANDLOT_TRY(auto database, store::Database::open(file));
  return paused_files(*database);
}

}  // namespace emulator::sandboxes
