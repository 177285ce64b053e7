#include "emulator/journal/control_routes.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace emulator::journal {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using Json = nlohmann::ordered_json;
using base::Errc;

namespace {

struct Query {
  std::size_t limit = RequestJournal::kEntries;  // the newest
  bool follow = false;
};

base::Result<Query> query_of(const http::RequestHead& head) {
  Query query;
  for (const auto& [key, value] : http::parse_query(head.query())) {
    if (key == "limit") {
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), query.limit);
      bool whole = error == std::errc() && end == value.data() + value.size();
      if (!whole) return base::fail(Errc::kInvalidArgument, "limit is a number of requests");
    } else if (key == "follow" && (value.empty() || value == "1" || value == "true")) {
      query.follow = true;
    } else if (key != "follow" || (value != "0" && value != "false")) {
      return base::fail(Errc::kInvalidArgument,
                        "the parameters are: limit (a number), follow (true, false)");
    }
  }
  return query;
}

std::string json_line(const Entry& entry) {
  Json json;
  json["number"] = entry.number;
  json["time"] = base::format_rfc3339(entry.time);
  json["method"] = entry.method;
  json["path"] = entry.path;
  json["status"] = entry.status;
  json["durationMs"] = static_cast<double>(entry.duration.count()) / 1000.0;
  json["sandboxID"] = entry.sandbox.empty() ? Json() : Json(entry.sandbox);
  if (!entry.fault.empty()) json["fault"] = entry.fault;
  Json headers = Json::object();
  for (const auto& [name, value] : entry.headers) headers[name] = value;
  json["headers"] = std::move(headers);
  json["requestBody"] = entry.request_body;
  json["responseBody"] = entry.response_body;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The first that is shown of `limit`.
std::uint64_t first_of(const RequestJournal& journal, std::size_t limit) {
  std::size_t count = std::min(limit, journal.entries().size());
  return journal.next() - count;
}

asio::awaitable<void> follow(http::ServerConnection& connection,
                             RequestJournal& journal,
                             std::uint64_t number) {
  for (;;) {
    std::string lines;
    for (const Entry& entry : journal.entries()) {
      if (entry.number >= number) lines += json_line(entry) + "\n";
    }
    number = journal.next();
    if (!lines.empty()) {
      auto written = co_await connection.write(lines);
      if (!written) co_return;
    }
    if (!co_await journal.wait_for(number)) co_return;
  }
}

asio::awaitable<void> show(http::RoutedRequest request, RequestJournal* journal) {
  auto query = query_of(request.head);
  if (!query) {
    auto response = control::error_response(400, query.error().message());
    co_await request.connection.send(std::move(response));
    co_return;
  }
  std::uint64_t first = first_of(*journal, query->limit);
  if (!query->follow) {
    std::string body = "[";
    for (const Entry& entry : journal->entries()) {
      if (entry.number < first) continue;
      if (body.size() > 1) body += ",\n";
      body += json_line(entry);
    }
    auto response = control::json_response(200, body + "]");
    co_await request.connection.send(std::move(response));
    co_return;
  }
  auto lines = follow(request.connection, *journal, first);
  co_await control::stream_lines(request.connection, std::move(lines));
}

}  // namespace

std::vector<control::ControlRoute> control_routes(RequestJournal& journal) {
  auto handler = [&journal](http::RoutedRequest request) {
    return show(std::move(request), &journal);
  };
  return {{"GET", "/_sandlot/requests", handler}};
}

}  // namespace emulator::journal
