#include "emulator/volumes/catalogue.h"

#include <nlohmann/json.hpp>

#include "emulator/base/log.h"
#include "emulator/store/database.h"

namespace emulator::volumes {

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

// The paused sandboxes of other emulators that have the volume of an id
// (emulator/sandboxes/paused_record.h): one whose emulator has ended has no process and no lock
// that would say so. Of our own the store knows better: a row that a full disk kept from going
// stays until there is room.
constexpr const char* kPausedUsers =
    "SELECT sandbox_id FROM paused_sandboxes AS paused, "
    "json_each(CASE WHEN json_valid(paused.body) THEN paused.body ELSE '{}' END, "
    "'$.info.volumeMounts') AS mounted JOIN volumes "
    "ON volumes.name = json_extract(mounted.value, '$.name') "
    "WHERE volumes.volume_id = ?1 AND paused.instance <> ?2";

std::string body_of(const VolumeRecord& record) {
  json body = {{"token", record.token}};
  if (record.quota) {
    body["quotaSizeGiB"] = record.quota->size_gib;
    body["quotaInodes"] = record.quota->inodes;
  }
  return body.dump();
}

VolumeRecord record_of(const store::Row& row) {
  VolumeRecord record;
  record.id = store::text(row[0]);
  record.name = store::text(row[1]);
  record.created_at = base::TimePoint(milliseconds(store::integer(row[3])));
  json body = json::parse(store::text(row[2]), nullptr, false);
  if (!body.is_object()) return record;
  record.token = body.value("token", "");
  if (body.contains("quotaSizeGiB")) {
    record.quota.emplace();
    record.quota->size_gib = body.value("quotaSizeGiB", std::uint64_t{0});
    record.quota->inodes = body.value("quotaInodes", std::uint64_t{0});
  }
  return record;
}

class StoredCatalogue final : public Catalogue {
 public:
  StoredCatalogue(store::Database& database, std::string instance)
      : database_(database), instance_(std::move(instance)) {}

  base::Task<> add(VolumeRecord record) override {
    auto created = std::chrono::duration_cast<milliseconds>(record.created_at.time_since_epoch());
    auto values = store::values(record.id, record.name, body_of(record),
                                static_cast<std::int64_t>(created.count()));
    SANDLOT_CO_CHECK(
        co_await database_.exec("INSERT INTO volumes VALUES (?, ?, ?, ?)", std::move(values)));
    co_return base::Result<>();
  }

  base::Task<> set_quota(VolumeRecord record) override {
    auto values = store::values(body_of(record), record.id);
    SANDLOT_CO_CHECK(co_await database_.exec("UPDATE volumes SET body = ? WHERE volume_id = ?",
                                             std::move(values)));
    co_return base::Result<>();
  }

  base::Task<> remove(std::string id) override {
    // In one statement: another emulator writes down what it pauses at any moment.
    std::string sql = std::string("DELETE FROM volumes WHERE volume_id = ?1 AND NOT EXISTS (") +
                      kPausedUsers + ")";
    SANDLOT_CO_TRY(auto removed,
                   co_await database_.exec(std::move(sql), store::values(id, instance_)));
    if (removed.rows > 0) co_return base::Result<>();
    sql = std::string("SELECT name, (") + kPausedUsers + ") FROM volumes WHERE volume_id = ?1";
    SANDLOT_CO_TRY(auto kept,
                   co_await database_.query(std::move(sql), store::values(id, instance_)));
    if (kept.empty()) co_return base::Result<>();
    // No id when it has ended since.
    co_return base::fail(base::Errc::kConflict, "Volume '" + store::text(kept[0][0]) +
                                                    "' is mounted in a paused sandbox " +
                                                    store::text(kept[0][1]));
  }

  base::Task<std::vector<VolumeRecord>> all() override {
    SANDLOT_CO_TRY(auto rows,
                   co_await database_.query("SELECT volume_id, name, body, created_at FROM volumes "
                                            "ORDER BY created_at, volume_id"));
    std::vector<VolumeRecord> records;
    for (const store::Row& row : rows) records.push_back(record_of(row));
    co_return records;
  }

 private:
  store::Database& database_;
  const std::string instance_;
};

}  // namespace

std::unique_ptr<Catalogue> make_stored_catalogue(store::Database& database, std::string instance) {
  return std::make_unique<StoredCatalogue>(database, std::move(instance));
}

}  // namespace emulator::volumes
