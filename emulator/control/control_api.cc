#include "emulator/control/control_api.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "emulator/base/secret.h"
#include "emulator/control/route.h"

namespace emulator::control {

namespace asio = boost::asio;
namespace http = fakeapi::http;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kLargestBody = 1U << 20U;

http::Response json_response(int status, const Json& body) {
  return control::json_response(status, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string host_name(std::string_view host) {
  if (!host.empty() && host.front() == '[') return std::string(host.substr(0, host.find(']') + 1));
  return std::string(host.substr(0, host.find(':')));
}

// The host of an Origin header: "http://localhost:3000" gives "localhost".
std::string origin_host(std::string_view origin) {
  auto scheme = origin.find("://");
  if (scheme == std::string_view::npos) return std::string(origin);
  return host_name(origin.substr(scheme + 3));
}

}  // namespace

ControlApi::ControlApi(ControlPort& port, std::vector<std::string> hosts, std::string token)
    : port_(port), hosts_(std::move(hosts)), token_(std::move(token)) {
  auto route = [this](std::string method, std::string_view path, auto member) {
    router_.add(std::move(method), path, [this, member](http::RoutedRequest request) {
      return (this->*member)(std::move(request));
    });
  };
  route("GET", "/_sandlot/livez", &ControlApi::live);
  route("GET", "/_sandlot/readyz", &ControlApi::ready);
  route("POST", "/_sandlot/reset", &ControlApi::reset);
  route("GET", "/_sandlot/state", &ControlApi::state);
  route("GET", "/_sandlot/clock", &ControlApi::clock);
  route("POST", "/_sandlot/clock", &ControlApi::change_clock);
}

void ControlApi::add_routes(std::vector<ControlRoute> routes) {
  for (ControlRoute& route : routes) {
    add_route(std::move(route.method), route.path, std::move(route.handler));
  }
}

void ControlApi::add_route(std::string method, std::string_view path, http::RouteHandler handler) {
  router_.add(std::move(method), path, std::move(handler));
}

std::string ControlApi::refusal(const http::RequestHead& head, bool is_local) const {
  auto known = [this](const std::string& name) {
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [&](const std::string& host) { return http::iequals(host, name); });
  };
  std::string_view bearer = head.headers.get("Authorization");
  constexpr std::string_view kBearer = "Bearer ";
  bool has_token = !token_.empty() && bearer.starts_with(kBearer) &&
                   base::same_secret(bearer.substr(kBearer.size()), token_);
  if (!is_local && !has_token) {
    return "the control API is for this machine only, unless --control-token is set and sent";
  }
  std::string host = host_name(head.host());
  // Whoever has the token may call this machine by any name.
  if (!has_token && !known(host)) return "host '" + host + "' is not this emulator's";
  if (auto origin = head.headers.find("Origin"); origin && !known(origin_host(*origin))) {
    return "cross-origin requests are refused";
  }
  std::string_view site = head.headers.get("Sec-Fetch-Site");
  if (http::iequals(site, "cross-site")) return "cross-site requests are refused";
  return "";
}

asio::awaitable<void> ControlApi::handle(const http::RequestHead& head,
                                         http::ServerConnection& connection) {
  std::string reason = refusal(head, connection.stream().is_local());
  if (!reason.empty()) {
    auto response = error_response(403, reason);
    co_await connection.send(std::move(response));
    co_return;
  }
  http::Router::Match match = router_.find(head.method, head.path());
  if (match.handler != nullptr) {
    http::RoutedRequest request{head, std::move(match.path), connection};
    co_await (*match.handler)(std::move(request));
    co_return;
  }
  auto response = match.allowed.empty() ? error_response(404, "no such control route")
                                        : error_response(405, "method not allowed");
  co_await connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::live(http::RoutedRequest request) {
  Json body;
  body["status"] = "live";
  auto response = json_response(200, body);
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::ready(http::RoutedRequest request) {
  Json body;
  bool is_ready = port_.ready();
  body["status"] = is_ready ? "ready" : "starting";
  auto response = json_response(is_ready ? 200 : 503, body);
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::reset(http::RoutedRequest request) {
  auto removed = co_await port_.reset();
  http::Response response;
  if (!removed) {
    response = error_response(500, removed.error().message());
  } else {
    Json body;
    for (const auto& [kind, count] : *removed) body["removed"][kind] = count;
    response = json_response(200, body);
  }
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::state(http::RoutedRequest request) {
  auto report = co_await port_.state();
  http::Response response;
  if (!report) {
    response = error_response(500, report.error().message());
  } else {
    Json body;
    body["sandboxes"] = Json::array();
    for (const auto& [id, state] : report->sandboxes) {
      Json item;
      item["id"] = id;
      item["state"] = state;
      body["sandboxes"].push_back(std::move(item));
    }
    for (const auto& [kind, count] : report->counts) body["counts"][kind] = count;
    response = json_response(200, body);
  }
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::clock(http::RoutedRequest request) {
  auto response = json_response(200, clock_json(port_.clock()));
  co_await request.connection.send(std::move(response));
}

asio::awaitable<void> ControlApi::change_clock(http::RoutedRequest request) {
  auto body = co_await request.connection.read_full_body(kLargestBody);
  if (!body) co_return;
  http::Response response;
  auto change = parse_clock_change(*body);
  if (!change) {
    response = error_response(400, change.error().message());
  } else if (auto changed = co_await port_.change_clock(*change); !changed) {
    bool theirs = changed.error().code() == base::Errc::kInvalidArgument;
    response = error_response(theirs ? 400 : 500, changed.error().message());
  } else {
    response = json_response(200, clock_json(port_.clock()));
  }
  co_await request.connection.send(std::move(response));
}

}  // namespace emulator::control
