// Response bodies of the control plane as JSON text: one function per shape, JSON stays in
// responses_json.cc. Used by the handlers. Every field of the schemas is written, because the
// Python SDKs parse strictly (contract-novita 1.6); bytes that are not UTF-8 are replaced, never an
// exception.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

// {"code": <int>, "message": "..."}
std::string error_json(int status, std::string_view message);

// `Sandbox`: create, connect and resume. `domain` empty = null.
std::string sandbox_json(const SandboxInfo& sandbox, const std::string& domain);
// `SandboxDetail`.
std::string sandbox_detail_json(const SandboxInfo& sandbox, const std::string& domain);
// The same with the alias as `name`, too: what Novita's SDK reads after a mount or unmount
// (contract-novita 2.1).
std::string mounted_sandbox_json(const SandboxInfo& sandbox, const std::string& domain);
// An array of `ListedSandbox`.
std::string sandbox_list_json(std::span<const SandboxInfo> sandboxes);

// What runs now, of what may (contract-novita 2.1). Where nothing limits the number of sandboxes,
// the limits are those that fit into an integer of every client.
struct QuotaUsage {
  std::size_t sandboxes = 0;
  std::int64_t cpus = 0;
  std::int64_t memory_mb = 0;
};
std::string quota_json(std::optional<std::size_t> max_running, const QuotaUsage& usage);

// An array of `SandboxMetric`.
std::string metrics_json(std::span<const MetricSample> samples);
// {"sandboxes": {<id>: <SandboxMetric>}}
std::string latest_metrics_json(const std::map<std::string, MetricSample>& by_sandbox);

// An array of `Template`, E2B's shape.
std::string template_list_json(std::span<const TemplateSummary> templates);
// Novita's shape: one page of `templates`, with `total`, `page` (from 1), `limit`, `totalPages`.
struct TemplatePage {
  std::size_t total = 0;
  std::size_t page = 1;
  std::size_t limit = 20;
};
std::string template_page_json(std::span<const TemplateSummary> templates,
                               const TemplatePage& page);
// {"templateID", "public"}
std::string template_alias_json(const TemplateSummary& found);

// The one team there is, in an array; `api_key` is what the CLI stores.
std::string team_list_json(std::string_view api_key);

std::string health_json();

}  // namespace fakeapi::cloud
