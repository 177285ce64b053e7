// What is known of one snapshot, and how a row of the database says it. Used by snapshot_catalogue
// and by the service that takes snapshots. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "namespaces/container_runtime.h"

namespace emulator::sandboxes {

struct SnapshotRecord {
  std::string id;                  // as of a template: 20 lower-case characters
  std::vector<std::string> names;  // "name:tag"; empty = known by its id alone
  base::TimePoint created_at;
  std::string build_id;
  std::string source;         // the sandbox
  std::string base_template;  // id of the template below all the layers
  // Directories below <data-dir>/snapshots, the uppermost first. The first is this snapshot's own.
  std::vector<std::string> layers;
  // Of a clone: not listed, and gone with the last sandbox that uses it.
  bool hidden = false;
  // A checkpoint of the memory lies beside the files. Never yet.
  bool memory = false;
  namespaces::Limits limits;
  int disk_size_mb = 0;
  std::uint16_t unbuilt_port = 0;
};

// Sandboxes of snapshots of sandboxes of snapshots: overlayfs looks a name up in every layer, and
// before Linux 6.8 all of them must be named in 255 bytes. A snapshot that would have more is made
// of one.
inline constexpr std::size_t kMostLayers = 16;

// "snap", "snap:v1", "team/snap:v1" as "snap:default", "snap:v1"; the team is cut off, there is one
// only. kInvalidArgument: not letters, digits, '-', '_' (and '.' in the tag), or over 128 of them.
base::Result<std::string> full_name(std::string_view reference);

// The columns `names` and `body`.
std::string names_column(const SnapshotRecord& record);
std::string body_column(const SnapshotRecord& record);
// kInternal when it is no such body.
base::Result<SnapshotRecord> record_of(const std::string& id,
                                       const std::string& names,
                                       const std::string& body,
                                       std::int64_t created_at_ms);
std::int64_t milliseconds(base::TimePoint time);

}  // namespace emulator::sandboxes
