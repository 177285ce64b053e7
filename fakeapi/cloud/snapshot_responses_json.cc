#include <nlohmann/json.hpp>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/responses.h"
#include "fakeapi/cloud/snapshot_responses.h"
#include "fakeapi/cloud/values_json.h"

namespace fakeapi::cloud {

namespace {

using json = nlohmann::ordered_json;

json snapshot_value(const SnapshotInfo& info) {
  return {{"snapshotID", snapshot_reference(info)}, {"names", json(info.as_template.names)}};
}

// As create answers it.
json sandbox_value(const SandboxInfo& sandbox, const std::string& domain) {
  return json::parse(sandbox_json(sandbox, domain));
}

}  // namespace

std::string snapshot_reference(const SnapshotInfo& info) {
  const TemplateSummary& item = info.as_template;
  return item.names.empty() ? item.template_id + ":default" : item.names.front();
}

std::string snapshot_json(const SnapshotInfo& info) {
  return text_of(snapshot_value(info));
}

std::string snapshot_list_json(std::span<const SnapshotInfo> snapshots) {
  json array = json::array();
  for (const SnapshotInfo& info : snapshots) array.push_back(snapshot_value(info));
  return text_of(array);
}

std::string snapshot_template_json(const SnapshotInfo& info) {
  TemplatePage page;
  page.total = 1;
  std::span<const TemplateSummary> one(&info.as_template, 1);
  return text_of(json::parse(template_page_json(one, page))["templates"][0]);
}

std::string clone_json(const Cloned& cloned) {
  json body = {{"sandboxes", json::array()}, {"snapshotTemplateId", cloned.snapshot_id}};
  for (const auto& sandbox : cloned.sandboxes) {
    if (sandbox) body["sandboxes"].push_back(sandbox_value(*sandbox, ""));
  }
  return text_of(body);
}

std::string fork_json(const Cloned& cloned, const std::string& domain) {
  json array = json::array();
  for (const auto& sandbox : cloned.sandboxes) {
    json entry = json::object();
    if (sandbox) {
      entry["sandbox"] = sandbox_value(*sandbox, domain);
    } else {
      entry["error"] = {{"code", http_status(sandbox.error().code())},
                        {"message", sandbox.error().message()}};
    }
    array.push_back(std::move(entry));
  }
  return text_of(array);
}

std::string reset_json(const SandboxInfo& sandbox) {
  json body = json::object();
  if (!sandbox.traffic_access_token.empty()) {
    body["trafficAccessToken"] = sandbox.traffic_access_token;
  }
  return text_of(body);
}

}  // namespace fakeapi::cloud
