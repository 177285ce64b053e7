#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "fakeapi/cloud/values_json.h"
#include "fakeapi/cloud/volume_bodies.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kInodesPerGib = 1000;
constexpr std::uint64_t kLargestGib = 4096;
constexpr std::uint64_t kMostInodes = 1ULL << 31U;
// What mkfs.ext4 can do: one for each KiB.
constexpr std::uint64_t kMostInodesPerGib = 1ULL << 20U;
constexpr std::size_t kLongestName = 255;
constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();

Result<std::optional<std::uint64_t>> number(const json& object,
                                            const char* name,
                                            std::uint64_t least,
                                            std::uint64_t most) {
  auto found = object.find(name);
  if (found == object.end()) return std::optional<std::uint64_t>();
  if (!found->is_number()) return refuse(name, "value must be an integer");
  auto value = found->get<double>();
  if (std::trunc(value) != value) return refuse(name, "value must be an integer");
  if (value < static_cast<double>(least)) {
    return refuse(name, "number must be at least " + std::to_string(least));
  }
  if (value > static_cast<double>(most)) {
    return refuse(name, "number must be at most " + std::to_string(most));
  }
  return std::optional(static_cast<std::uint64_t>(value));
}

Result<std::optional<VolumeQuota>> quota_of(const json& object) {
  SANDLOT_TRY(auto size, number(object, "quotaSizeGiB", 1, kLargestGib));
  SANDLOT_TRY(auto inodes, number(object, "quotaInodes", 1, kMostInodes));
  if (!size && inodes) return refuse("quotaInodes", "quotaInodes needs quotaSizeGiB");
  if (!size) return std::optional<VolumeQuota>();
  if (auto most = *size * kMostInodesPerGib; inodes && *inodes > most) {
    return refuse("quotaInodes", "number must be at most " + std::to_string(most) + " in " +
                                     std::to_string(*size) + " GiB");
  }
  VolumeQuota quota;
  quota.size_gib = *size;
  quota.inodes = inodes.value_or(*size * kInodesPerGib);
  return std::optional(quota);
}

bool is_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

json volume_value(const VolumeInfo& volume, bool with_token) {
  json value = {{"volumeID", volume.volume_id}, {"name", volume.name}};
  if (with_token) value["token"] = volume.token;
  if (volume.quota) value["quotaSizeGiB"] = volume.quota->size_gib;
  value["usedSizeBytes"] = volume.used_bytes;
  return value;
}

std::string_view type_name(VolumeEntry::Type type) {
  switch (type) {
    case VolumeEntry::Type::kFile:
      return "file";
    case VolumeEntry::Type::kDirectory:
      return "directory";
    case VolumeEntry::Type::kSymlink:
      return "symlink";
    case VolumeEntry::Type::kUnknown:
      return "unknown";
  }
  return "unknown";
}

json entry_value(const VolumeEntry& entry) {
  json value = {{"name", entry.name},
                {"type", type_name(entry.type)},
                {"path", entry.path},
                {"size", entry.size},
                {"mode", entry.mode},
                {"uid", entry.uid},
                {"gid", entry.gid},
                {"atime", base::format_rfc3339(entry.atime)},
                {"mtime", base::format_rfc3339(entry.mtime)},
                {"ctime", base::format_rfc3339(entry.ctime)}};
  if (entry.target) value["target"] = *entry.target;
  return value;
}

}  // namespace

Result<NewVolume> parse_new_volume(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  NewVolume wanted;
  SANDLOT_TRY(wanted.name, text(object, "name"));
  if (!is_name(wanted.name)) {
    return refuse("name", "string doesn't match the regular expression \"^[a-zA-Z0-9_-]+$\"");
  }
  if (wanted.name.size() > kLongestName) {
    return refuse("name", "maximum string length is " + std::to_string(kLongestName));
  }
  SANDLOT_TRY(wanted.quota, quota_of(object));
  return wanted;
}

Result<std::optional<VolumeQuota>> parse_volume_quota(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  return quota_of(object);
}

Result<VolumeMount> parse_volume_mount(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  VolumeMount mount;
  SANDLOT_TRY(mount.name, text(object, "name"));
  SANDLOT_TRY(mount.path, text(object, "path"));
  return mount;
}

Result<EntryAttributes> parse_entry_attributes(std::string_view body) {
  SANDLOT_TRY(json object, read_object(body));
  EntryAttributes attributes;
  SANDLOT_TRY(auto uid, number(object, "uid", 0, kMaxUint32 - 1));
  SANDLOT_TRY(auto gid, number(object, "gid", 0, kMaxUint32 - 1));
  SANDLOT_TRY(auto mode, number(object, "mode", 0, kMaxUint32));
  if (uid) attributes.uid = static_cast<std::uint32_t>(*uid);
  if (gid) attributes.gid = static_cast<std::uint32_t>(*gid);
  if (mode) attributes.mode = static_cast<std::uint32_t>(*mode);
  return attributes;
}

std::string volume_json(const VolumeInfo& volume) {
  return text_of(volume_value(volume, true));
}

std::string volume_list_json(std::span<const VolumeInfo> volumes) {
  json array = json::array();
  for (const VolumeInfo& volume : volumes) array.push_back(volume_value(volume, false));
  return text_of(array);
}

std::string volume_entry_json(const VolumeEntry& entry) {
  return text_of(entry_value(entry));
}

std::string volume_entries_json(std::span<const VolumeEntry> entries) {
  json array = json::array();
  for (const VolumeEntry& entry : entries) array.push_back(entry_value(entry));
  return text_of(array);
}

std::string content_error_json(int status, std::string_view message) {
  return text_of(json{{"code", std::to_string(status)}, {"message", message}});
}

}  // namespace fakeapi::cloud
