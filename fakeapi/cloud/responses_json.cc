#include <limits>

#include <nlohmann/json.hpp>

#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/responses.h"
#include "fakeapi/cloud/values_json.h"

namespace fakeapi::cloud {

namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kTeamId = "00000000-0000-4000-8000-000000000000";

std::string_view state_name(SandboxState state) {
  return state == SandboxState::kRunning ? "running" : "paused";
}

json domain_value(const std::string& domain) {
  return domain.empty() ? json() : json(domain);
}

// What `Sandbox`, `SandboxDetail` and `ListedSandbox` begin with. clientID is deprecated and must
// be empty: a value would become part of the id in old SDKs (contract-novita 1.6, 1.8).
json common_fields(const SandboxInfo& sandbox) {
  json value = {
      {"templateID", sandbox.template_id}, {"sandboxID", sandbox.sandbox_id}, {"clientID", ""}};
  if (!sandbox.alias.empty()) value["alias"] = sandbox.alias;
  value["envdVersion"] = sandbox.envd_version;
  return value;
}

void add_access_token(json& value, const SandboxInfo& sandbox) {
  if (!sandbox.envd_access_token.empty()) value["envdAccessToken"] = sandbox.envd_access_token;
}

json listed_sandbox(const SandboxInfo& sandbox) {
  json value = common_fields(sandbox);
  value["startedAt"] = base::format_rfc3339(sandbox.started_at);
  value["endAt"] = base::format_rfc3339(sandbox.end_at);
  value["state"] = state_name(sandbox.state);
  value["cpuCount"] = sandbox.cpu_count;
  value["memoryMB"] = sandbox.memory_mb;
  value["diskSizeMB"] = sandbox.disk_size_mb;
  if (sandbox.metadata) {
    // An empty map would be written as null.
    json metadata = json::object();
    for (const auto& [key, item] : *sandbox.metadata) metadata[key] = item;
    value["metadata"] = std::move(metadata);
  }
  value["volumeMounts"] = json::array();
  for (const VolumeMount& mount : sandbox.volume_mounts) {
    value["volumeMounts"].push_back({{"name", mount.name}, {"path", mount.path}});
  }
  return value;
}

json metric(const MetricSample& sample) {
  auto since_epoch = sample.time.time_since_epoch();
  return {{"timestamp", base::format_rfc3339(sample.time)},
          {"timestampUnix", std::chrono::duration_cast<std::chrono::seconds>(since_epoch).count()},
          {"cpuCount", sample.cpu_count},
          {"cpuUsedPct", sample.cpu_used_percent},
          {"memUsed", sample.memory_used},
          {"memTotal", sample.memory_total},
          {"memCache", sample.memory_cache},
          {"diskUsed", sample.disk_used},
          {"diskTotal", sample.disk_total}};
}

// "base" of "base" and of "team/base".
std::string_view without_namespace(std::string_view name) {
  auto slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

json template_value(const TemplateSummary& summary) {
  json aliases = json::array();
  for (const std::string& name : summary.names) aliases.push_back(without_namespace(name));
  std::string created = base::format_rfc3339(summary.created_at);
  return {{"templateID", summary.template_id},
          {"buildID", summary.build_id},
          {"buildStatus", "ready"},
          {"names", summary.names},
          {"aliases", std::move(aliases)},
          {"templateType", summary.is_snapshot ? "snapshot_template" : "template_build"},
          {"public", true},
          {"cpuCount", summary.cpu_count},
          {"memoryMB", summary.memory_mb},
          {"diskSizeMB", summary.disk_size_mb},
          {"envdVersion", summary.envd_version},
          {"buildCount", 1},
          {"spawnCount", 0},
          {"createdAt", created},
          {"updatedAt", created},
          {"lastSpawnedAt", nullptr},
          {"createdBy", nullptr}};
}

json template_array(std::span<const TemplateSummary> templates) {
  json array = json::array();
  for (const TemplateSummary& summary : templates) array.push_back(template_value(summary));
  return array;
}

}  // namespace

std::string error_json(int status, std::string_view message) {
  return text_of(json{{"code", status}, {"message", message}});
}

std::string sandbox_json(const SandboxInfo& sandbox, const std::string& domain) {
  json value = common_fields(sandbox);
  add_access_token(value, sandbox);
  value["trafficAccessToken"] =
      sandbox.traffic_access_token.empty() ? json() : json(sandbox.traffic_access_token);
  value["domain"] = domain_value(domain);
  return text_of(value);
}

namespace {

json rules_value(const NetworkRules& rules) {
  json value = json::object();
  for (const auto& [host, list] : rules) {
    json& of_host = value[host] = json::array();
    for (const NetworkRule& rule : list) {
      json item = json::object();
      if (rule.transform) {
        json& transform = item["transform"] = json::object();
        if (rule.transform->headers) transform["headers"] = *rule.transform->headers;
      }
      of_host.push_back(std::move(item));
    }
  }
  return value;
}

// As it was sent; absent lists stay absent (contract-network 2.1).
json network_value(const NetworkOptions& network) {
  json value = json::object();
  if (network.allow_out) value["allowOut"] = *network.allow_out;
  if (network.deny_out) value["denyOut"] = *network.deny_out;
  if (network.allow_public_traffic) value["allowPublicTraffic"] = *network.allow_public_traffic;
  if (network.mask_request_host) value["maskRequestHost"] = *network.mask_request_host;
  if (network.rules) value["rules"] = rules_value(*network.rules);
  return value;
}

json detail_value(const SandboxInfo& sandbox, const std::string& domain) {
  json value = listed_sandbox(sandbox);
  add_access_token(value, sandbox);
  value["allowInternetAccess"] =
      sandbox.allow_internet_access ? json(*sandbox.allow_internet_access) : json();
  value["domain"] = domain_value(domain);
  if (sandbox.network) value["network"] = network_value(*sandbox.network);
  value["lifecycle"] = {{"onTimeout", sandbox.auto_pause ? "pause" : "kill"},
                        {"autoResume", sandbox.auto_resume}};
  return value;
}

}  // namespace

std::string sandbox_detail_json(const SandboxInfo& sandbox, const std::string& domain) {
  return text_of(detail_value(sandbox, domain));
}

std::string mounted_sandbox_json(const SandboxInfo& sandbox, const std::string& domain) {
  json value = detail_value(sandbox, domain);
  if (!sandbox.alias.empty()) value["name"] = sandbox.alias;
  return text_of(value);
}

std::string sandbox_list_json(std::span<const SandboxInfo> sandboxes) {
  json array = json::array();
  for (const SandboxInfo& sandbox : sandboxes) array.push_back(listed_sandbox(sandbox));
  return text_of(array);
}

std::string quota_json(std::optional<std::size_t> max_running, const QuotaUsage& usage) {
  constexpr std::int64_t kUnlimited = std::numeric_limits<std::int32_t>::max();
  auto times = [&](std::int64_t each) {
    return max_running ? static_cast<std::int64_t>(*max_running) * each : kUnlimited;
  };
  json body;
  body["limit"] = {{"concurrentInstances", times(1)},
                   {"concurrentVcpu", times(kMaxVcpu)},
                   {"concurrentRamMb", times(kMaxRamMb)},
                   {"maxLengthHours", kLongestTimeout.count()},
                   {"diskMb", kDiskMb},
                   {"maxVcpu", kMaxVcpu},
                   {"maxRamMb", kMaxRamMb}};
  body["usage"] = {{"concurrentInstances", usage.sandboxes},
                   {"concurrentVcpu", usage.cpus},
                   {"concurrentRamMb", usage.memory_mb}};
  return text_of(body);
}

std::string metrics_json(std::span<const MetricSample> samples) {
  json items = json::array();
  for (const MetricSample& sample : samples) items.push_back(metric(sample));
  return text_of(items);
}

std::string latest_metrics_json(const std::map<std::string, MetricSample>& by_sandbox) {
  json items = json::object();
  for (const auto& [id, sample] : by_sandbox) items[id] = metric(sample);
  json body;
  body["sandboxes"] = std::move(items);
  return text_of(body);
}

std::string template_list_json(std::span<const TemplateSummary> templates) {
  return text_of(template_array(templates));
}

std::string template_page_json(std::span<const TemplateSummary> templates,
                               const TemplatePage& page) {
  std::size_t pages = (page.total + page.limit - 1) / page.limit;
  return text_of(json{{"templates", template_array(templates)},
                      {"total", page.total},
                      {"page", page.page},
                      {"limit", page.limit},
                      {"totalPages", pages}});
}

std::string template_alias_json(const TemplateSummary& found) {
  return text_of(json{{"templateID", found.template_id}, {"public", true}});
}

std::string team_list_json(std::string_view api_key) {
  json team = {{"teamID", kTeamId}, {"name", "Sandlot"}, {"apiKey", api_key}, {"isDefault", true}};
  return text_of(json::array({std::move(team)}));
}

std::string health_json() {
  return text_of(json{{"status", "ok"}});
}

}  // namespace fakeapi::cloud
