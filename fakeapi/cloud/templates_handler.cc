#include "fakeapi/cloud/templates_handler.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/auth.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/responses.h"
#include "fakeapi/cloud/snapshot_service.h"
#include "fakeapi/cloud/templates.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using Answer = TemplatesHandler::Answer;

namespace {

// What the SDKs of E2B up to 2.45 accept as a key: "e2b_" and hex digits (contract-novita 7.1).
constexpr std::string_view kAnyKey = "e2b_0000000000000000000000000000000000000000";

constexpr std::size_t kNovitaPageSize = 20;

bool newer(const TemplateSummary& a, const TemplateSummary& b) {
  if (a.created_at == b.created_at) return a.template_id < b.template_id;
  return a.created_at > b.created_at;
}

// A query number of 1 or more, or `fallback` when absent.
Result<std::size_t> positive(std::string_view query, std::string_view name, std::size_t fallback) {
  auto text = http::query_value(query, name);
  if (!text || text->empty()) return fallback;
  std::size_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 1) {
    return bad_parameter(name, "number must be at least 1");
  }
  return value;
}

Result<http::Response> novita_page(std::vector<TemplateSummary> templates, std::string_view query) {
  TemplatePage page;
  page.total = templates.size();
  SANDLOT_TRY(page.page, positive(query, "page", 1));
  SANDLOT_TRY(page.limit, positive(query, "limit", kNovitaPageSize));
  page.limit = std::min(page.limit, kMaxPage);
  std::span<const TemplateSummary> shown(templates);
  std::size_t skipped =
      page.page - 1 > templates.size() ? templates.size() : (page.page - 1) * page.limit;
  shown = shown.subspan(std::min(skipped, shown.size()));
  shown = shown.first(std::min(page.limit, shown.size()));
  return json_response(200, template_page_json(shown, page));
}

Result<http::Response> e2b_page(const std::vector<TemplateSummary>& templates,
                                std::string_view query) {
  SANDLOT_TRY(std::size_t limit, positive(query, "limit", kMaxPage));
  limit = std::min(limit, kMaxPage);
  std::span<const TemplateSummary> shown(templates);
  std::string token = http::query_value(query, "nextToken").value_or("");
  if (!token.empty()) {
    SANDLOT_TRY(Cursor after, parse_token(token, Order::kNewestFirst));
    auto next = std::find_if(shown.begin(), shown.end(), [&](const TemplateSummary& item) {
      return item.created_at == after.time ? item.template_id > after.id
                                           : item.created_at < after.time;
    });
    shown = shown.subspan(static_cast<std::size_t>(std::distance(shown.begin(), next)));
  }
  bool more = shown.size() > limit;
  shown = shown.first(std::min(limit, shown.size()));
  http::Response response = json_response(200, template_list_json(shown));
  if (more) {
    const TemplateSummary& last = shown.back();
    response.headers.add("X-Next-Token",
                         make_token({last.created_at, last.template_id}, Order::kNewestFirst));
  }
  return response;
}

}  // namespace

Answer TemplatesHandler::list(http::RoutedRequest) {
  co_return json_response(200, template_list_json(sorted()));
}

Answer TemplatesHandler::list_pages(http::RoutedRequest request) {
  std::string_view query = request.head.query();
  if (!is_novita_client(request.head.headers)) co_return e2b_page(sorted(), query);
  if (http::query_value(query, "template_type").value_or("") == "snapshot_template") {
    SANDLOT_CO_TRY(auto snapshots, co_await list_snapshots());
    co_return novita_page(std::move(snapshots), query);
  }
  co_return novita_page(sorted(), query);
}

Answer TemplatesHandler::get_alias(http::RoutedRequest request) {
  const std::string alias = plain_name(request.path["alias"]);
  auto found = find_template(sorted(), alias);
  if (found) co_return json_response(200, template_alias_json(*found));
  SANDLOT_CO_TRY(auto snapshots, co_await list_snapshots());
  for (TemplateSummary& snapshot : snapshots) {
    // Their names have their tags.
    bool tagged = alias.find(':') != std::string::npos;
    std::string name = tagged ? alias : alias + ":default";
    auto& names = snapshot.names;
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    co_return json_response(200, template_alias_json(snapshot));
  }
  co_return base::Failure(std::move(found).error());
}

Answer TemplatesHandler::teams(http::RoutedRequest request) {
  std::string_view key = presented_key(request.head.headers);
  co_return json_response(200, team_list_json(key.empty() ? kAnyKey : key));
}

std::vector<TemplateSummary> TemplatesHandler::sorted() const {
  std::vector<TemplateSummary> templates = service_.templates();
  std::sort(templates.begin(), templates.end(), newer);
  return templates;
}

base::Task<std::vector<TemplateSummary>> TemplatesHandler::list_snapshots() const {
  std::vector<TemplateSummary> items;
  SnapshotService* service = service_.snapshot_service();
  if (service == nullptr) co_return items;
  SANDLOT_CO_TRY(auto snapshots, co_await service->snapshots());
  for (SnapshotInfo& info : snapshots) items.push_back(std::move(info.as_template));
  std::sort(items.begin(), items.end(), newer);
  co_return items;
}

}  // namespace fakeapi::cloud
