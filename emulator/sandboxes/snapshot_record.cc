#include "emulator/sandboxes/snapshot_record.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "fakeapi/cloud/templates.h"

namespace emulator::sandboxes {

using base::Errc;
using nlohmann::json;
namespace cloud = fakeapi::cloud;

namespace {

constexpr std::size_t kLongestName = 128;

bool is_name(std::string_view text, std::string_view more) {
  return !text.empty() && text.size() <= kLongestName &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  more.find(c) != std::string_view::npos;
         });
}

}  // namespace

base::Result<std::string> full_name(std::string_view reference) {
  std::string_view name = reference;
  std::string_view team = "one";
  if (auto slash = name.find('/'); slash != std::string_view::npos) {
    team = name.substr(0, slash);
    name.remove_prefix(slash + 1);
  }
  std::string_view tag = "default";
  if (auto colon = name.find(':'); colon != std::string_view::npos) {
    tag = name.substr(colon + 1);
    name = name.substr(0, colon);
  }
  std::string plain = cloud::plain_name(name);
  std::string plain_tag = cloud::plain_name(tag);
  if (!is_name(cloud::plain_name(team), "-_") || !is_name(plain, "-_") ||
      !is_name(plain_tag, "-_.")) {
    return base::fail(Errc::kInvalidArgument,
                      "Invalid snapshot name: '" + std::string(reference.substr(0, kLongestName)) +
                          "' (letters, digits, '-' and '_', with an optional ':tag')");
  }
  return plain + ":" + plain_tag;
}

std::int64_t milliseconds(base::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string names_column(const SnapshotRecord& record) {
  return json(record.names).dump();
}

std::string body_column(const SnapshotRecord& record) {
  json body;
  body["buildID"] = record.build_id;
  body["source"] = record.source;
  body["baseTemplate"] = record.base_template;
  body["layers"] = record.layers;
  body["hidden"] = record.hidden;
  body["memory"] = record.memory;
  body["cpuCount"] = record.limits.cpu_count;
  body["memoryMB"] = record.limits.memory_mb;
  body["pids"] = record.limits.pids;
  body["diskSizeMB"] = record.disk_size_mb;
  body["unbuiltPort"] = record.unbuilt_port;
  return body.dump();
}

base::Result<SnapshotRecord> record_of(const std::string& id,
                                       const std::string& names,
                                       const std::string& text,
                                       std::int64_t created_at_ms) {
  SnapshotRecord record;
  record.id = id;
  record.created_at = base::TimePoint(std::chrono::milliseconds(created_at_ms));
  // nlohmann reports by exception; this is the edge that catches it.
  try {
    record.names = json::parse(names).get<std::vector<std::string>>();
    json body = json::parse(text);
    record.build_id = body.at("buildID").get<std::string>();
    record.source = body.at("source").get<std::string>();
    record.base_template = body.at("baseTemplate").get<std::string>();
    record.layers = body.at("layers").get<std::vector<std::string>>();
    record.hidden = body.at("hidden").get<bool>();
    record.memory = body.at("memory").get<bool>();
    record.limits.cpu_count = body.at("cpuCount").get<int>();
    record.limits.memory_mb = body.at("memoryMB").get<int>();
    record.limits.pids = body.at("pids").get<int>();
    record.disk_size_mb = body.at("diskSizeMB").get<int>();
    record.unbuilt_port = body.at("unbuiltPort").get<std::uint16_t>();
  } catch (const json::exception& error) {
    return base::fail(Errc::kInternal, "snapshot " + id + ": " + error.what());
  }
  if (record.layers.empty()) return base::fail(Errc::kInternal, "snapshot " + id + ": no layers");
  return record;
}

}  // namespace emulator::sandboxes
