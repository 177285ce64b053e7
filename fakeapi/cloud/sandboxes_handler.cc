#include "fakeapi/cloud/sandboxes_handler.h"

#include <algorithm>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/bodies.h"
#include "fakeapi/cloud/filter.h"
#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/metrics_query.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/request.h"
#include "fakeapi/cloud/responses.h"
#include "fakeapi/cloud/templates.h"
#include "fakeapi/cloud/volume_bodies.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Error;
using base::Failure;
using base::Result;
using Answer = SandboxesHandler::Answer;

namespace {

// What a connect or resume asks for, against the sandbox that it is for.
Result<> check_connect(const ConnectBody& wanted,
                       const SandboxInfo& sandbox,
                       const PublicUrls& urls) {
  bool secure = !sandbox.envd_access_token.empty();
  if (wanted.network) {
    SANDLOT_CHECK(validate_change(sandbox.network, *wanted.network, secure, urls));
  }
  if (wanted.secure.value_or(secure) == secure) return {};
  return Failure(not_built("changing `secure` of an existing sandbox"));
}

}  // namespace

Answer SandboxesHandler::create(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(NewSandbox wanted, parse_new_sandbox(body, public_urls_));
  if (create_rate_) {
    if (auto wait = create_rate_->take(clock_.now())) co_return too_many_creates(*wait);
  }
  SANDLOT_CO_TRY(SandboxInfo info, co_await service_.create(std::move(wanted)));
  co_return sandbox_response(201, info, request.head);
}

Answer SandboxesHandler::list_running(http::RoutedRequest request) {
  SandboxFilter filter;
  filter.paused = false;
  if (auto metadata = http::query_value(request.head.query(), "metadata")) {
    SANDLOT_CO_TRY(filter.metadata, parse_metadata_filter(*metadata));
  }
  std::vector<SandboxInfo> sandboxes = service_.list();
  std::erase_if(sandboxes, [&](const SandboxInfo& info) { return !matches(info, filter); });
  PageRequest everything;
  everything.limit = sandboxes.size();
  SandboxPage page = make_page(std::move(sandboxes), everything);
  co_return json_response(200, sandbox_list_json(page.items));
}

Answer SandboxesHandler::list(http::RoutedRequest request) {
  SANDLOT_CO_TRY(ListQuery query, parse_list_query(request.head.query()));
  std::vector<SandboxInfo> sandboxes = service_.list();
  if (query.filter.template_name) {
    // A template nobody has ever heard of has no sandboxes: an empty list, not an error
    // (contract-envd 8.1).
    auto known = find_template(service_.templates(), *query.filter.template_name);
    std::string id = known ? known->template_id : *query.filter.template_name;
    std::erase_if(sandboxes, [&](const SandboxInfo& info) { return info.template_id != id; });
  }
  std::erase_if(sandboxes, [&](const SandboxInfo& info) { return !matches(info, query.filter); });
  auto running = std::count_if(sandboxes.begin(), sandboxes.end(), [](const SandboxInfo& info) {
    return info.state == SandboxState::kRunning;
  });
  SandboxPage page = make_page(std::move(sandboxes), query.page);
  http::Response response = json_response(200, sandbox_list_json(page.items));
  if (query.filter.running) response.headers.add("X-Total-Running", std::to_string(running));
  if (!page.next_token.empty()) response.headers.add("X-Next-Token", page.next_token);
  co_return response;
}

Answer SandboxesHandler::get(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(SandboxInfo info, find(id));
  co_return json_response(200,
                          sandbox_detail_json(info, answer_domain(request.head, public_domain_)));
}

Answer SandboxesHandler::kill(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  auto killed = co_await service_.kill(id);
  if (!killed) co_return Failure(translate(std::move(killed).error(), id));
  co_return no_content();
}

Answer SandboxesHandler::connect(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(ConnectBody wanted, parse_connect(body));
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  SANDLOT_CO_CHECK(check_connect(wanted, before, public_urls_));
  if (wanted.network && network_immutable_) co_return Failure(network_is_fixed(id));
  auto timeout = cap_timeout(wanted.timeout, before.metadata);
  if (!wanted.keep_memory) {
    auto dropped = co_await service_.drop_memory(id);
    if (!dropped) co_return Failure(translate(std::move(dropped).error(), id));
  }
  auto connected = co_await service_.connect(id, timeout, std::move(wanted.network));
  if (!connected) co_return Failure(translate(std::move(connected).error(), id));
  co_return sandbox_response(connected->resumed ? 201 : 200, connected->info, request.head);
}

Answer SandboxesHandler::resume(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(ConnectBody wanted, parse_connect(body));
  SANDLOT_CO_CHECK(check_new_life(wanted.timeout));
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  SANDLOT_CO_CHECK(check_connect(wanted, before, public_urls_));
  if (wanted.network && network_immutable_) co_return Failure(network_is_fixed(id));
  auto timeout = cap_timeout(wanted.timeout, before.metadata);
  if (!wanted.keep_memory) {
    auto dropped = co_await service_.drop_memory(id);
    if (!dropped) co_return Failure(translate(std::move(dropped).error(), id));
  }
  auto info = co_await service_.resume(id, timeout, wanted.auto_pause, std::move(wanted.network));
  if (!info && info.error().code() == Errc::kConflict) co_return Failure(already_running(id));
  if (!info) co_return Failure(translate(std::move(info).error(), id));
  co_return sandbox_response(201, *info, request.head);
}

Answer SandboxesHandler::pause(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(bool keep_memory, parse_pause(body));
  auto paused = co_await service_.pause(id, keep_memory);
  if (!paused && paused.error().code() == Errc::kConflict) co_return Failure(already_paused(id));
  if (!paused) co_return Failure(translate(std::move(paused).error(), id));
  co_return no_content();
}

Answer SandboxesHandler::set_timeout(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(std::chrono::seconds timeout, parse_timeout(body));
  SANDLOT_CO_TRY(SandboxInfo before, find_running(id));
  auto changed = co_await service_.set_timeout(id, cap_timeout(timeout, before.metadata));
  if (!changed) co_return Failure(translate(std::move(changed).error(), id));
  co_return no_content();
}

// Keeps a running sandbox alive for at least this long: never shortens.
Answer SandboxesHandler::refresh(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(std::chrono::seconds duration, parse_refresh(body));
  SANDLOT_CO_TRY(SandboxInfo before, find_running(id));
  if (before.end_at >= clock_.now() + duration) co_return no_content();
  auto changed = co_await service_.set_timeout(id, duration);
  if (!changed) co_return Failure(translate(std::move(changed).error(), id));
  co_return no_content();
}

// A full replace, unlike what the vendor's page says of settings after creation (NET-58,
// contract-network 2.2).
Answer SandboxesHandler::set_network(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(NetworkUpdate wanted, parse_network_update(body, public_urls_));
  SANDLOT_CO_TRY(SandboxInfo before, find_running(id));
  if (network_immutable_) co_return Failure(network_is_fixed(id));
  auto changed =
      co_await service_.set_network(id, std::move(wanted.network), wanted.allow_internet_access);
  if (!changed) co_return Failure(translate(std::move(changed).error(), id));
  co_return no_content();
}

Answer SandboxesHandler::metrics(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(MetricsRange range, parse_metrics_range(request.head.query()));
  auto samples = service_.metrics(id);
  if (!samples) co_return Failure(translate(std::move(samples).error(), id));
  co_return json_response(200, metrics_json(within(*samples, range)));
}

Answer SandboxesHandler::latest_metrics(http::RoutedRequest request) {
  SANDLOT_CO_TRY(auto ids, parse_sandbox_ids(request.head.query()));
  std::map<std::string, MetricSample> latest;
  for (const std::string& id : ids) {
    auto samples = service_.metrics(id);
    if (samples && !samples->empty()) latest[id] = samples->back();
  }
  co_return json_response(200, latest_metrics_json(latest));
}

Answer SandboxesHandler::hotplug_memory(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(int extra, parse_hotplug_memory(body));
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  if (before.state == SandboxState::kPaused) co_return Failure(is_paused(id));
  auto changed = co_await service_.set_extra_memory(id, extra);
  if (!changed) co_return Failure(translate(std::move(changed).error(), id));
  co_return no_content();
}

Answer SandboxesHandler::quota(http::RoutedRequest) {
  QuotaUsage usage;
  for (const SandboxInfo& info : service_.list()) {
    if (info.state != SandboxState::kRunning) continue;
    ++usage.sandboxes;
    usage.cpus += info.cpu_count;
    usage.memory_mb += info.memory_mb;
  }
  co_return json_response(200, quota_json(service_.max_running(), usage));
}

Answer SandboxesHandler::mount_volume(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(VolumeMount mount, parse_volume_mount(body));
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  if (before.state == SandboxState::kPaused) co_return Failure(is_paused(id));
  auto info = co_await service_.mount_volume(id, std::move(mount));
  if (!info) co_return Failure(translate(std::move(info).error(), id));
  co_return json_response(200,
                          mounted_sandbox_json(*info, answer_domain(request.head, public_domain_)));
}

Answer SandboxesHandler::unmount_volume(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  std::string_view query = request.head.query();
  std::string path = http::query_value(query, "path").value_or("");
  bool force = http::query_value(query, "force").value_or("") == "true";
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  if (before.state == SandboxState::kPaused) co_return Failure(is_paused(id));
  auto info = co_await service_.unmount_volume(id, std::move(path), force);
  if (!info) co_return Failure(translate(std::move(info).error(), id));
  co_return json_response(200,
                          mounted_sandbox_json(*info, answer_domain(request.head, public_domain_)));
}

Result<SandboxInfo> SandboxesHandler::find(const std::string& id) const {
  auto info = service_.get(id);
  if (!info) return Failure(translate(std::move(info).error(), id));
  return info;
}

Result<SandboxInfo> SandboxesHandler::find_running(const std::string& id) const {
  SANDLOT_TRY(SandboxInfo info, find(id));
  if (info.state == SandboxState::kPaused) return Failure(sandbox_not_found(id));
  return info;
}

Error SandboxesHandler::translate(Error error, const std::string& id) {
  return error.code() == Errc::kNotFound ? sandbox_not_found(id) : error;
}

http::Response SandboxesHandler::sandbox_response(int status,
                                                  const SandboxInfo& info,
                                                  const http::RequestHead& head) const {
  return json_response(status, sandbox_json(info, answer_domain(head, public_domain_)));
}

}  // namespace fakeapi::cloud
