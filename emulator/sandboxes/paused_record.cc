#include "emulator/sandboxes/paused_record.h"

#include <nlohmann/json.hpp>

namespace emulator::sandboxes {

namespace cloud = fakeapi::cloud;
using nlohmann::json;

namespace {

json to_json(base::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

base::TimePoint time_of(const json& value) {
  return base::TimePoint(std::chrono::duration_cast<base::TimePoint::duration>(
      std::chrono::microseconds(value.get<std::int64_t>())));
}

template <class T>
json to_json(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

template <class T>
std::optional<T> optional_of(const json& value) {
  return value.is_null() ? std::nullopt : std::optional<T>(value.get<T>());
}

json to_json(const std::optional<cloud::NetworkRules>& rules) {
  if (!rules) return {};
  json value = json::object();
  for (const auto& [host, list] : *rules) {
    json& of_host = value[host] = json::array();
    for (const cloud::NetworkRule& rule : list)
      of_host.push_back(rule.transform ? json{{"headers", to_json(rule.transform->headers)}}
                                       : json());
  }
  return value;
}

// Absent in rows of versions that had no rules.
std::optional<cloud::NetworkRules> rules_of(const json& network) {
  auto found = network.find("rules");
  if (found == network.end() || found->is_null()) return std::nullopt;
  cloud::NetworkRules rules;
  for (const auto& [host, list] : found->items()) {
    std::vector<cloud::NetworkRule>& of_host = rules[host];
    for (const json& item : list) {
      cloud::NetworkRule& rule = of_host.emplace_back();
      if (item.is_null()) continue;
      rule.transform.emplace().headers = optional_of<cloud::StringMap>(item.at("headers"));
    }
  }
  return rules;
}

json to_json(const std::optional<cloud::NetworkOptions>& network) {
  if (!network) return {};
  return {{"allowOut", to_json(network->allow_out)},
          {"denyOut", to_json(network->deny_out)},
          {"allowPublicTraffic", to_json(network->allow_public_traffic)},
          {"maskRequestHost", to_json(network->mask_request_host)},
          {"rules", to_json(network->rules)}};
}

std::optional<cloud::NetworkOptions> network_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  using List = std::vector<std::string>;
  cloud::NetworkOptions network;
  network.allow_out = optional_of<List>(value.at("allowOut"));
  network.deny_out = optional_of<List>(value.at("denyOut"));
  network.allow_public_traffic = optional_of<bool>(value.at("allowPublicTraffic"));
  network.mask_request_host = optional_of<std::string>(value.at("maskRequestHost"));
  network.rules = rules_of(value);
  return network;
}

json to_json(const std::vector<cloud::VolumeMount>& mounts) {
  json list = json::array();
  for (const auto& mount : mounts) list.push_back({{"name", mount.name}, {"path", mount.path}});
  return list;
}

std::vector<cloud::VolumeMount> mounts_of(const json& value) {
  std::vector<cloud::VolumeMount> mounts;
  for (const json& item : value) mounts.push_back({item.at("name"), item.at("path")});
  return mounts;
}

json to_json(const BoundSecrets& secrets) {
  json value = json::object();
  for (const auto& [variable, secret] : secrets) {
    value[variable] = {{"name", secret.name}, {"placeholder", secret.placeholder}};
  }
  return value;
}

// Absent in rows of versions that had no secrets.
BoundSecrets secrets_of(const json& record) {
  BoundSecrets secrets;
  auto found = record.find("secrets");
  if (found == record.end()) return secrets;
  for (const auto& [variable, secret] : found->items()) {
    secrets[variable] = {secret.at("name"), secret.at("placeholder")};
  }
  return secrets;
}

json to_json(const cloud::SandboxInfo& info) {
  return {{"sandboxID", info.sandbox_id},
          {"templateID", info.template_id},
          {"alias", info.alias},
          {"metadata", to_json(info.metadata)},
          {"startedAt", to_json(info.started_at)},
          {"endAt", to_json(info.end_at)},
          {"cpuCount", info.cpu_count},
          {"memoryMB", info.memory_mb},
          {"diskSizeMB", info.disk_size_mb},
          {"envdVersion", info.envd_version},
          {"envdAccessToken", info.envd_access_token},
          {"allowInternetAccess", to_json(info.allow_internet_access)},
          {"network", to_json(info.network)},
          {"autoPause", info.auto_pause},
          {"autoPauseMemory", info.auto_pause_memory},
          {"autoResume", info.auto_resume},
          {"volumeMounts", to_json(info.volume_mounts)}};
}

cloud::SandboxInfo info_of(const json& value) {
  cloud::SandboxInfo info;
  info.sandbox_id = value.at("sandboxID");
  info.template_id = value.at("templateID");
  info.alias = value.at("alias");
  info.metadata = optional_of<cloud::StringMap>(value.at("metadata"));
  info.state = cloud::SandboxState::kPaused;
  info.started_at = time_of(value.at("startedAt"));
  info.end_at = time_of(value.at("endAt"));
  info.cpu_count = value.at("cpuCount");
  info.memory_mb = value.at("memoryMB");
  info.disk_size_mb = value.at("diskSizeMB");
  info.envd_version = value.at("envdVersion");
  info.envd_access_token = value.at("envdAccessToken");
  info.allow_internet_access = optional_of<bool>(value.at("allowInternetAccess"));
  info.network = network_of(value.at("network"));
  info.auto_pause = value.at("autoPause");
  info.auto_pause_memory = value.at("autoPauseMemory");
  info.auto_resume = value.at("autoResume");
  info.volume_mounts = mounts_of(value.at("volumeMounts"));
  return info;
}

json to_json(const std::vector<std::filesystem::path>& layers) {
  json list = json::array();
  for (const auto& layer : layers) list.push_back(layer.string());
  return list;
}

std::vector<std::filesystem::path> layers_of(const json& value) {
  auto texts = value.get<std::vector<std::string>>();
  return {texts.begin(), texts.end()};
}

json to_json(const Template& item) {
  return {{"id", item.id},
          {"buildID", item.build_id},
          {"names", item.names},
          {"cpuCount", item.limits.cpu_count},
          {"memoryMB", item.limits.memory_mb},
          {"pids", item.limits.pids},
          {"diskSizeMB", item.disk_size_mb},
          {"layers", to_json(item.rootfs.root_layers)},
          {"usrLayers", to_json(item.rootfs.usr_layers)},
          {"createdAt", to_json(item.created_at)},
          {"unbuiltPort", item.unbuilt_port},
          {"snapshotLayers", item.snapshot_layers},
          {"baseTemplate", item.base_template},
          {"httpbin", item.httpbin}};
}

Template template_of(const json& value) {
  Template item;
  item.id = value.at("id");
  item.build_id = value.at("buildID");
  item.names = value.at("names").get<std::vector<std::string>>();
  item.limits.cpu_count = value.at("cpuCount");
  item.limits.memory_mb = value.at("memoryMB");
  item.limits.pids = value.at("pids");
  item.disk_size_mb = value.at("diskSizeMB");
  item.rootfs.root_layers = layers_of(value.at("layers"));
  item.rootfs.usr_layers = layers_of(value.at("usrLayers"));
  item.created_at = time_of(value.at("createdAt"));
  item.unbuilt_port = value.at("unbuiltPort");
  item.snapshot_layers = value.at("snapshotLayers").get<std::vector<std::string>>();
  item.base_template = value.at("baseTemplate");
  item.httpbin = value.value("httpbin", false);
  return item;
}

}  // namespace

std::string encode(const PausedRecord& record) {
  json body = {{"info", to_json(record.info)},
               {"lifetime", record.lifetime.count()},
               {"filesOnly", record.files_only},
               {"trafficToken", record.traffic_token},
               {"envVars", record.env_vars},
               {"secrets", to_json(record.secrets)},
               {"madeOf", to_json(record.made_of)},
               {"files", record.files},
               {"slot", record.slot},
               {"firstID", record.first_id}};
  // Names and values of a request are any bytes; what is not UTF-8 is replaced, never an exception.
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

base::Result<PausedRecord> decode_paused(const std::string& body) {
  // Only a damaged or foreign file has other types than encode() writes.
  try {
    json value = json::parse(body);
    PausedRecord record;
    record.info = info_of(value.at("info"));
    record.lifetime = std::chrono::seconds(value.at("lifetime").get<std::int64_t>());
    record.files_only = value.at("filesOnly");
    record.traffic_token = value.at("trafficToken");
    record.env_vars = value.at("envVars").get<cloud::StringMap>();
    record.secrets = secrets_of(value);
    record.made_of = template_of(value.at("madeOf"));
    record.files = value.at("files");
    record.slot = value.at("slot");
    record.first_id = value.at("firstID");
    return record;
  } catch (const json::exception& error) {
    return base::fail(base::Errc::kInvalidArgument, error.what());
  }
}

}  // namespace emulator::sandboxes
