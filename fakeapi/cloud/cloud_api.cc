#include "fakeapi/cloud/cloud_api.h"

#include <algorithm>
#include <exception>
#include <functional>

#include <boost/system/system_error.hpp>

#include "emulator/base/log.h"
#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/auth.h"
#include "fakeapi/cloud/cors.h"
#include "fakeapi/cloud/not_built.h"
#include "fakeapi/cloud/records_handler.h"
#include "fakeapi/cloud/responses.h"
#include "fakeapi/cloud/sandboxes_handler.h"
#include "fakeapi/cloud/secrets_handler.h"
#include "fakeapi/cloud/snapshots_handler.h"
#include "fakeapi/cloud/templates_handler.h"
#include "fakeapi/cloud/volume_content_handler.h"
#include "fakeapi/cloud/volumes_handler.h"

namespace fakeapi::cloud {

namespace asio = boost::asio;

namespace {

using Endpoint = std::function<base::Task<http::Response>(http::RoutedRequest)>;

base::Task<http::Response> health(http::RoutedRequest) {
  co_return json_response(200, health_json());
}

base::Task<http::Response> refuse(std::string_view what) {
  co_return base::Failure(not_built(what));
}

// The handler's response, its error as a response, or 500 when it threw. Not for cancellation,
// which goes on.
asio::awaitable<http::Response> run_endpoint(const Endpoint& endpoint,
                                             http::RoutedRequest request) {
  std::string_view route = request.head.target;
  std::string failure;
  try {
    auto result = co_await endpoint(std::move(request));
    if (result) co_return std::move(*result);
    int status = http_status(result.error().code());
    if (status == 500 || status == 503 || status == 507) {
      base::log::error("api.failed", {{"target", std::string(route)},
                                      {"code", std::string(base::to_string(result.error().code()))},
                                      {"error", result.error().message()}});
    }
    co_return error_response(result.error());
  } catch (const boost::system::system_error&) {
    throw;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  base::log::error("api.bug", {{"target", std::string(route)}, {"error", failure}});
  co_return error_response(500, "internal error");
}

http::Response no_such_route(const http::RequestHead& head, std::vector<std::string> allowed) {
  std::string what = head.method + " " + std::string(head.path());
  if (allowed.empty()) return error_response(404, "no such endpoint: " + what);
  std::sort(allowed.begin(), allowed.end());
  allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
  std::string names;
  for (const std::string& method : allowed) names += (names.empty() ? "" : ", ") + method;
  http::Response response = error_response(405, "method not allowed: " + what);
  response.headers.add("Allow", names);
  return response;
}

}  // namespace

struct CloudApi::Routes {
  Routes(SandboxService& service, base::Clock& clock, CloudOptions given)
      : options(std::move(given)),
        sandboxes(service, clock, options),
        templates(service),
        records(service, clock, options.events, options.logs),
        snapshots(service, clock, options) {
    add_sandbox_routes();
    add_snapshot_routes();
    add_template_routes();
    add_volume_routes();
    add_secret_routes();
    add("GET", "/health", &health);
    for (const NotBuiltRoute& route : not_built_routes()) {
      add(route.method, route.pattern,
          [what = route.what](const http::RoutedRequest&) { return refuse(what); });
    }
    open_route = router.find("GET", "/health").handler;
  }

  void add_sandbox_routes() {
    using H = SandboxesHandler;
    auto bind = [this](H::Answer (H::*method)(http::RoutedRequest)) {
      return std::bind_front(method, &sandboxes);
    };
    // v1 for Novita and older E2B SDKs, v2 for e2b 2.51 (contract-novita 7.3): the same bodies.
    add("POST", "/sandboxes", bind(&H::create));
    add("POST", "/v2/sandboxes", bind(&H::create));
    add("POST", "/sandboxes/{sandboxID}/connect", bind(&H::connect));
    add("POST", "/v2/sandboxes/{sandboxID}/connect", bind(&H::connect));
    add("GET", "/sandboxes", bind(&H::list_running));
    add("GET", "/v2/sandboxes", bind(&H::list));
    add("GET", "/sandboxes/{sandboxID}", bind(&H::get));
    add("DELETE", "/sandboxes/{sandboxID}", bind(&H::kill));
    add("POST", "/sandboxes/{sandboxID}/resume", bind(&H::resume));
    add("POST", "/sandboxes/{sandboxID}/pause", bind(&H::pause));
    add("POST", "/sandboxes/{sandboxID}/timeout", bind(&H::set_timeout));
    add("POST", "/sandboxes/{sandboxID}/refreshes", bind(&H::refresh));
    add("PUT", "/sandboxes/{sandboxID}/network", bind(&H::set_network));
    add("GET", "/sandboxes/{sandboxID}/metrics", bind(&H::metrics));
    add("GET", "/sandboxes/metrics", bind(&H::latest_metrics));
    add("GET", "/sandboxes/quota", bind(&H::quota));
    add("POST", "/sandboxes/{sandboxID}/hotplug-memory", bind(&H::hotplug_memory));
    add("GET", "/sandboxes/events", std::bind_front(&RecordsHandler::events, &records));
    add("GET", "/sandboxes/{sandboxID}/logs", std::bind_front(&RecordsHandler::logs, &records));
    add("GET", "/v2/sandboxes/{sandboxID}/logs",
        std::bind_front(&RecordsHandler::logs_v2, &records));
    add("POST", "/sandboxes/{sandboxID}/volume-mounts", bind(&H::mount_volume));
    add("DELETE", "/sandboxes/{sandboxID}/volume-mounts", bind(&H::unmount_volume));
  }

  void add_snapshot_routes() {
    using H = SnapshotsHandler;
    auto bind = [this](H::Answer (H::*method)(http::RoutedRequest)) {
      return std::bind_front(method, &snapshots);
    };
    add("POST", "/sandboxes/{sandboxID}/snapshots", bind(&H::take));
    add("POST", "/sandboxes/{sandboxID}/clone", bind(&H::clone));
    add("POST", "/sandboxes/{sandboxID}/fork", bind(&H::fork));
    add("POST", "/sandboxes/{sandboxID}/reset", bind(&H::reset));
    add("POST", "/sandboxes/{sandboxID}/commit", bind(&H::commit));
    add("GET", "/snapshots", bind(&H::list));
    add("DELETE", "/templates/{templateID}", bind(&H::remove));
  }

  void add_template_routes() {
    using H = TemplatesHandler;
    auto bind = [this](H::Answer (H::*method)(http::RoutedRequest)) {
      return std::bind_front(method, &templates);
    };
    add("GET", "/templates", bind(&H::list));
    add("GET", "/v2/templates", bind(&H::list_pages));
    add("GET", "/templates/aliases/{alias}", bind(&H::get_alias));
    add("GET", "/teams", bind(&H::teams));
  }

  void add_volume_routes() {
    using H = VolumesHandler;
    if (options.volumes != nullptr) {
      volumes.emplace(*options.volumes);
      auto bind = [this](H::Answer (H::*method)(http::RoutedRequest)) {
        return std::bind_front(method, &*volumes);
      };
      add("POST", "/volumes", bind(&H::create));
      add("GET", "/volumes", bind(&H::list));
      add("GET", "/volumes/{volumeID}", bind(&H::get));
      add("PATCH", "/volumes/{volumeID}", bind(&H::set_quota));
      add("DELETE", "/volumes/{volumeID}", bind(&H::remove));
    }
    if (options.volume_files != nullptr) {
      volume_content.emplace(*options.volume_files);
      volume_content->add_to(router);
    }
  }

  void add_secret_routes() {
    using H = SecretsHandler;
    if (options.secrets == nullptr) return;
    secrets.emplace(*options.secrets);
    auto bind = [this](H::Answer (H::*method)(http::RoutedRequest)) {
      return std::bind_front(method, &*secrets);
    };
    add("POST", "/secrets", bind(&H::create));
    add("GET", "/secrets", bind(&H::list));
    add("GET", "/secrets/{secret}", bind(&H::get));
    add("PUT", "/secrets/{secret}", bind(&H::replace));
    add("POST", "/secrets/{secret}", bind(&H::update));
    add("DELETE", "/secrets/{secret}", bind(&H::remove));
  }

  // Method and path are literals at every call: tests/compat reads them there, and wants a row of
  // docs/compatibility/cloud-api.md for each.
  void add(std::string_view method, std::string_view pattern, Endpoint endpoint) {
    // The lambda is no coroutine: it hands a reference to its endpoint, which lives in the router,
    // to one.
    router.add(std::string(method), pattern,
               [endpoint = std::move(endpoint)](http::RoutedRequest request) {
                 return answer(endpoint, std::move(request));
               });
  }

  static asio::awaitable<void> answer(const Endpoint& endpoint, http::RoutedRequest request) {
    http::ServerConnection& connection = request.connection;
    http::Response response = co_await run_endpoint(endpoint, std::move(request));
    co_await send(connection, std::move(response));
  }

  static asio::awaitable<void> send(http::ServerConnection& connection, http::Response response) {
    allow_any_origin(response.headers);
    // A client that left does not get its answer; serve_connection sees the same and closes.
    auto sent = co_await connection.send(std::move(response));
    if (!sent) base::log::debug("api.client_left", {{"error", sent.error().message()}});
  }

  CloudOptions options;
  SandboxesHandler sandboxes;
  TemplatesHandler templates;
  RecordsHandler records;
  SnapshotsHandler snapshots;
  std::optional<VolumesHandler> volumes;
  std::optional<VolumeContentHandler> volume_content;
  std::optional<SecretsHandler> secrets;
  http::Router router;
  const http::RouteHandler* open_route = nullptr;  // needs no key; points into the finished router
};

CloudApi::CloudApi(SandboxService& service, base::Clock& clock, CloudOptions options)
    : routes_(std::make_unique<Routes>(service, clock, std::move(options))) {}

CloudApi::~CloudApi() = default;

asio::awaitable<void> CloudApi::handle(const http::RequestHead& head,
                                       http::ServerConnection& connection) {
  if (head.method == "OPTIONS") {
    co_await Routes::send(connection, preflight_response(head));
    co_return;
  }
  // HEAD is GET without the body, which the connection leaves out.
  std::string_view method = head.method == "HEAD" ? std::string_view("GET") : head.method;
  http::Router::Match match = routes_->router.find(method, head.path());
  if (match.handler == nullptr) {
    co_await Routes::send(connection, no_such_route(head, std::move(match.allowed)));
    co_return;
  }
  // A volume's files are opened by the volume's own token.
  bool has_own_token = head.path().starts_with("/volumecontent/");
  if (match.handler != routes_->open_route && !has_own_token) {
    auto allowed = check_key(routes_->options.api_keys, head.headers);
    if (!allowed) {
      co_await Routes::send(connection, error_response(allowed.error()));
      co_return;
    }
  }
  http::RoutedRequest request{head, std::move(match.path), connection};
  co_await (*match.handler)(std::move(request));
}

}  // namespace fakeapi::cloud
