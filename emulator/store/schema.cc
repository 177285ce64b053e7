#include "emulator/store/schema.h"

#include <array>

namespace emulator::store {

namespace {

// Times are milliseconds since 1970 (UTC); bodies are JSON objects whose shape is their owner's.
constexpr std::array<std::string_view, 5> kSteps = {
    // 1: snapshots. `names` is a JSON array of texts.
    R"(CREATE TABLE snapshots (
         snapshot_id TEXT PRIMARY KEY,
         names TEXT NOT NULL DEFAULT '[]',
         body TEXT NOT NULL,
         created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;)",
    // 2: volumes.
    R"(CREATE TABLE volumes (
         volume_id TEXT PRIMARY KEY,
         name TEXT NOT NULL UNIQUE,
         body TEXT NOT NULL,
         created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;)",
    // 3: paused sandboxes (emulator/sandboxes/paused_record.h). `instance`: the emulator that has
    // it now; `files`: its writable layers are <data-dir>/sandboxes/<instance>/<files>.
    R"(CREATE TABLE paused_sandboxes (
         sandbox_id TEXT PRIMARY KEY,
         instance TEXT NOT NULL,
         files TEXT NOT NULL,
         body TEXT NOT NULL,
         paused_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;)",
    // 4: secrets.
    R"(CREATE TABLE secrets (
         name TEXT PRIMARY KEY,
         body BLOB NOT NULL,
         updated_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;)",
    // 5: events.
    R"(CREATE TABLE events (
         event_id INTEGER PRIMARY KEY AUTOINCREMENT,
         sandbox_id TEXT NOT NULL,
         template_id TEXT NOT NULL DEFAULT '',
         name TEXT NOT NULL,
         state TEXT NOT NULL DEFAULT '',
         status_code INTEGER NOT NULL DEFAULT 0,
         error TEXT NOT NULL DEFAULT '',
         recorded_at INTEGER NOT NULL) STRICT;
       CREATE INDEX events_by_time ON events (recorded_at);)",
};

}  // namespace

std::span<const std::string_view> schema_steps() {
  return kSteps;
}

}  // namespace emulator::store
