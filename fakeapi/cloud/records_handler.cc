#include "fakeapi/cloud/records_handler.h"

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/records_json.h"
#include "fakeapi/cloud/request.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Failure;
using Answer = RecordsHandler::Answer;

Answer RecordsHandler::events(http::RoutedRequest request) {
  if (events_ == nullptr) co_return Failure(not_built("reading sandbox events"));
  SANDLOT_CO_TRY(EventQuery query, parse_event_query(request.head.query(), clock_.now()));
  SANDLOT_CO_TRY(EventPage page, co_await events_->find(query));
  std::map<std::string, std::string> names;
  for (const TemplateSummary& known : service_.templates()) {
    if (!known.names.empty()) names[known.template_id] = known.names.front();
  }
  co_return json_response(200, events_json(page, query, names));
}

base::Task<std::vector<LogEntry>> RecordsHandler::lines(const http::RoutedRequest& request,
                                                        LogQuery query) {
  SANDLOT_CO_TRY(std::string id, sandbox_id(request.path));
  auto entries = co_await logs_->logs(id);
  if (!entries && entries.error().code() == Errc::kNotFound) {
    // A sandbox that outlived its emulator has left its lines there.
    if (service_.get(id)) co_return std::vector<LogEntry>();
    co_return Failure(sandbox_not_found(id));
  }
  if (!entries) co_return entries;
  co_return select(std::move(*entries), query);
}

Answer RecordsHandler::logs(http::RoutedRequest request) {
  if (logs_ == nullptr) co_return Failure(not_built("reading sandbox logs"));
  SANDLOT_CO_TRY(LogQuery query, parse_log_query(request.head.query()));
  SANDLOT_CO_TRY(auto found, co_await lines(request, query));
  co_return json_response(200, logs_json(found));
}

Answer RecordsHandler::logs_v2(http::RoutedRequest request) {
  if (logs_ == nullptr) co_return Failure(not_built("reading sandbox logs"));
  SANDLOT_CO_TRY(LogQuery query, parse_log_query_v2(request.head.query()));
  SANDLOT_CO_TRY(auto found, co_await lines(request, query));
  co_return json_response(200, logs_v2_json(found));
}

}  // namespace fakeapi::cloud
