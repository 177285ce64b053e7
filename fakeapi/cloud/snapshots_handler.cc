#include "fakeapi/cloud/snapshots_handler.h"

#include <algorithm>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/request.h"
#include "fakeapi/cloud/snapshot_responses.h"
#include "fakeapi/cloud/templates.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Error;
using base::Failure;
using base::Result;
using Answer = SnapshotsHandler::Answer;

namespace {

Error translate(Error error, const std::string& id) {
  return error.code() == Errc::kNotFound ? sandbox_not_found(id) : error;
}

void say_contents(http::Response& response, bool memory) {
  response.headers.add("X-Sandlot-Contents", memory ? "filesystem, memory" : "filesystem");
}

struct SnapshotQuery {
  std::string sandbox;
  std::string name;
  std::size_t limit = kMaxPage;
  std::optional<Cursor> after;
};

Result<SnapshotQuery> parse_query(std::string_view text) {
  SnapshotQuery query;
  query.sandbox = http::query_value(text, "sandboxID").value_or("");
  if (!query.sandbox.empty()) {
    SANDLOT_TRY(query.sandbox, sandbox_id(query.sandbox));
  }
  query.name = http::query_value(text, "name").value_or("");
  if (auto limit = http::query_value(text, "limit")) {
    auto parsed = parse_limit(*limit);
    if (!parsed) return bad_parameter("limit", parsed.error().message());
    query.limit = *parsed;
  }
  if (auto token = http::query_value(text, "nextToken"); token && !token->empty()) {
    SANDLOT_TRY(query.after, parse_token(*token, Order::kNewestFirst));
  }
  return query;
}

// "snap", "team/snap", "snap:v1", or an id, with or without the tag.
bool is_called(const SnapshotInfo& info, std::string_view name) {
  const std::string plain = plain_name(name);
  std::string_view wanted = plain;
  if (auto slash = wanted.find('/'); slash != std::string_view::npos) {
    wanted.remove_prefix(slash + 1);
  }
  bool tagged = wanted.find(':') != std::string_view::npos;
  const TemplateSummary& item = info.as_template;
  if (wanted == item.template_id || wanted == item.template_id + ":default") return true;
  return std::any_of(item.names.begin(), item.names.end(), [&](const std::string& one) {
    return tagged ? one == wanted : std::string_view(one).substr(0, one.find(':')) == wanted;
  });
}

bool newer(const SnapshotInfo& a, const SnapshotInfo& b) {
  const TemplateSummary& one = a.as_template;
  const TemplateSummary& two = b.as_template;
  if (one.created_at == two.created_at) return one.template_id < two.template_id;
  return one.created_at > two.created_at;
}

}  // namespace

Answer SnapshotsHandler::take(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(std::string name, parse_snapshot_name(body));
  SANDLOT_CO_TRY(SnapshotInfo info, co_await take_of(id, name));
  http::Response response = json_response(201, snapshot_json(info));
  say_contents(response, info.memory);
  co_return response;
}

Answer SnapshotsHandler::commit(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(std::string alias, parse_commit_alias(body));
  SANDLOT_CO_TRY(SnapshotInfo info, co_await take_of(id, alias));
  http::Response response = json_response(201, snapshot_template_json(info));
  say_contents(response, info.memory);
  co_return response;
}

base::Task<SnapshotInfo> SnapshotsHandler::take_of(std::string id, std::string name) {
  SANDLOT_CO_TRY(SnapshotService * service, snapshots());
  SANDLOT_CO_TRY(SandboxInfo source, find(id));
  auto info = co_await service->take_snapshot(id, std::move(name));
  if (!info) co_return Failure(translate(std::move(info).error(), id));
  co_return info;
}

Answer SnapshotsHandler::list(http::RoutedRequest request) {
  SANDLOT_CO_TRY(SnapshotQuery query, parse_query(request.head.query()));
  SANDLOT_CO_TRY(SnapshotService * service, snapshots());
  SANDLOT_CO_TRY(auto all, co_await service->snapshots());
  std::erase_if(all, [&](const SnapshotInfo& info) {
    if (!query.sandbox.empty() && info.source != query.sandbox) return true;
    if (!query.name.empty() && !is_called(info, query.name)) return true;
    if (!query.after) return false;
    const TemplateSummary& item = info.as_template;
    if (item.created_at == query.after->time) return item.template_id <= query.after->id;
    return item.created_at > query.after->time;
  });
  std::sort(all.begin(), all.end(), newer);
  std::span<const SnapshotInfo> shown(all);
  shown = shown.first(std::min(query.limit, all.size()));
  http::Response response = json_response(200, snapshot_list_json(shown));
  if (shown.size() < all.size()) {
    const TemplateSummary& last = shown.back().as_template;
    response.headers.add("X-Next-Token",
                         make_token({last.created_at, last.template_id}, Order::kNewestFirst));
  }
  co_return response;
}

Answer SnapshotsHandler::remove(http::RoutedRequest request) {
  std::string reference(request.path["templateID"]);
  SANDLOT_CO_TRY(SnapshotService * service, snapshots());
  auto built_in = find_template(service_.templates(), reference);
  if (built_in) co_return Failure(not_built("deleting a template that is no snapshot"));
  SANDLOT_CO_CHECK(co_await service->delete_snapshot(reference));
  co_return no_content();
}

Answer SnapshotsHandler::clone(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(CloneRequest wanted, parse_clone(body));
  SANDLOT_CO_TRY(Cloned cloned, co_await clone_of(id, wanted));
  http::Response response = json_response(201, clone_json(cloned));
  say_contents(response, cloned.memory);
  co_return response;
}

Answer SnapshotsHandler::fork(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(CloneRequest wanted, parse_fork(body));
  SANDLOT_CO_TRY(Cloned cloned, co_await clone_of(id, wanted));
  http::Response response =
      json_response(201, fork_json(cloned, answer_domain(request.head, public_domain_)));
  say_contents(response, cloned.memory);
  co_return response;
}

base::Task<Cloned> SnapshotsHandler::clone_of(std::string id, CloneRequest wanted) {
  SANDLOT_CO_TRY(SnapshotService * service, snapshots());
  SANDLOT_CO_TRY(SandboxInfo source, find(id));
  if (wanted.timeout) wanted.timeout = cap_timeout(*wanted.timeout, source.metadata);
  bool is_fork = wanted.fork;
  auto cloned = co_await service->clone(id, std::move(wanted));
  if (cloned) co_return cloned;
  bool paused = is_fork && cloned.error().code() == Errc::kConflict;
  if (paused) co_return Failure(cannot_be_forked(id));
  co_return Failure(translate(std::move(cloned).error(), id));
}

Answer SnapshotsHandler::reset(http::RoutedRequest request) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  SANDLOT_CO_TRY(std::string body, co_await read_body(request.connection));
  SANDLOT_CO_TRY(ResetBody wanted, parse_reset(body));
  SANDLOT_CO_TRY(SnapshotService * service, snapshots());
  SANDLOT_CO_TRY(SandboxInfo before, find(id));
  bool secure = !before.envd_access_token.empty();
  if (wanted.network) {
    SANDLOT_CO_CHECK(validate_change(before.network, *wanted.network, secure, public_urls_));
  }
  if (wanted.secure.value_or(secure) != secure) {
    co_return Failure(not_built("changing `secure` of an existing sandbox"));
  }
  ResetRequest change;
  change.resume = wanted.resume;
  if (wanted.timeout) change.timeout = cap_timeout(*wanted.timeout, before.metadata);
  change.network = std::move(wanted.network);
  auto info = co_await service->reset(id, std::move(change));
  if (!info) co_return Failure(translate(std::move(info).error(), id));
  co_return json_response(200, reset_json(*info));
}

Result<SnapshotService*> SnapshotsHandler::snapshots() const {
  if (SnapshotService* service = service_.snapshot_service()) return service;
  return Failure(not_built("snapshots without a data directory"));
}

Result<SandboxInfo> SnapshotsHandler::find(const std::string& id) const {
  auto info = service_.get(id);
  if (!info) return Failure(translate(std::move(info).error(), id));
  return info;
}

}  // namespace fakeapi::cloud
