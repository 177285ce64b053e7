#include "fakeapi/envd/envd_server.h"

#include <array>

#include "emulator/base/secret.h"
#include "fakeapi/envd/download.h"
#include "fakeapi/envd/system_handler.h"
#include "fakeapi/envd/upload.h"

namespace fakeapi::envd {

namespace asio = boost::asio;

namespace {

constexpr const char* kExposed =
    "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Location, Cache-Control, "
    "X-Content-Type-Options";
constexpr const char* kMaxAge = "7200";
constexpr std::string_view kCorsMethods = "HEAD GET POST PUT PATCH DELETE";

enum class Route {
  kHealth,
  kMetrics,
  kEnvs,
  kInit,
  kFiles,
  kCompose,
  kOrchestrator,
};

struct RouteEntry {
  std::string_view path;
  Route route = Route::kHealth;
  std::string_view methods;  // separated by blanks
};

constexpr std::array kRoutes = {
    RouteEntry{"/health", Route::kHealth, "GET"},
    RouteEntry{"/metrics", Route::kMetrics, "GET"},
    RouteEntry{"/envs", Route::kEnvs, "GET"},
    RouteEntry{"/init", Route::kInit, "POST"},
    RouteEntry{"/files", Route::kFiles, "GET POST"},
    RouteEntry{"/files/compose", Route::kCompose, "POST"},
    RouteEntry{"/freeze", Route::kOrchestrator, "POST"},
    RouteEntry{"/unfreeze", Route::kOrchestrator, "POST"},
    RouteEntry{"/collapse", Route::kOrchestrator, "POST"},
    RouteEntry{"/fsfreeze", Route::kOrchestrator, "POST"},
    RouteEntry{"/fsthaw", Route::kOrchestrator, "POST"},
    RouteEntry{"/upgrade", Route::kOrchestrator, "POST"},
};

const RouteEntry* find_route(std::string_view path) {
  for (const RouteEntry& entry : kRoutes) {
    if (entry.path == path) return &entry;
  }
  return nullptr;
}

bool allows(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    std::string_view one = methods.substr(0, methods.find(' '));
    if (one == method) return true;
    methods.remove_prefix(std::min(methods.size(), one.size() + 1));
  }
  return false;
}

std::string comma_separated(std::string_view methods) {
  std::string out;
  for (char c : methods) out.append(c == ' ' ? ", " : std::string(1, c));
  return out;
}

// Paths that check for themselves, or not at all (contract-envd 1.2).
bool exempt(const http::RequestHead& head) {
  std::string_view path = head.path();
  if (head.method == "GET" && (path == "/health" || path == "/files")) return true;
  return head.method == "POST" && (path == "/files" || path == "/init");
}

asio::awaitable<void> answer_preflight(const http::RequestHead& head,
                                       http::ServerConnection& connection) {
  http::Response response;
  response.status = 204;
  response.headers.add("Vary", "Origin");
  response.headers.add("Vary", "Access-Control-Request-Method");
  response.headers.add("Vary", "Access-Control-Request-Headers");
  std::string_view method = head.headers.get("Access-Control-Request-Method");
  if (!allows(kCorsMethods, method)) {  // nothing that a browser would take for a yes
    co_await connection.send(std::move(response));
    co_return;
  }
  response.headers.add("Access-Control-Allow-Origin", "*");
  response.headers.add("Access-Control-Allow-Methods", std::string(method));
  std::string_view wanted = head.headers.get("Access-Control-Request-Headers");
  if (!wanted.empty()) response.headers.add("Access-Control-Allow-Headers", std::string(wanted));
  response.headers.add("Access-Control-Max-Age", kMaxAge);
  co_await connection.send(std::move(response));
}

}  // namespace

http::Headers cors_headers(const http::RequestHead& head) {
  http::Headers headers;
  headers.add("Vary", "Origin");
  if (head.headers.has("Origin")) {
    headers.add("Access-Control-Allow-Origin", "*");
    headers.add("Access-Control-Expose-Headers", kExposed);
  }
  return headers;
}

EnvdServer::EnvdServer(SandboxState& state, ProcessTable& processes)
    : state_(state),
      process_service_(state, processes),
      filesystem_service_(state),
      watcher_service_(state, processes.executor(), processes.tasks()) {
  process_service_.add_to(rpc_);
  filesystem_service_.add_to(rpc_);
  watcher_service_.add_to(rpc_);
}

bool EnvdServer::authorized(const http::RequestHead& head) const {
  const std::string& token = state_.configuration.access_token;
  if (token.empty() || exempt(head)) return true;
  return base::same_secret(head.headers.get("X-Access-Token"), token);
}

asio::awaitable<void> EnvdServer::handle(const http::RequestHead& head,
                                         http::ServerConnection& connection) {
  if (head.method == "OPTIONS" && head.headers.has("Access-Control-Request-Method")) {
    co_await answer_preflight(head, connection);
    co_return;
  }
  HttpCall call{head, connection, cors_headers(head)};
  if (!authorized(head)) {
    co_await send_error(
        call, 401,
        "unauthorized access, please provide a valid access token or method signing if supported");
    co_return;
  }
  if (rpc_.serves(head.path())) {
    co_await rpc_.handle(head, connection, call.common);
  } else {
    co_await route(call);
  }
}

asio::awaitable<void> EnvdServer::route(HttpCall& call) {
  const RouteEntry* entry = find_route(call.head.path());
  if (entry == nullptr) {
    co_await send_text(call, 404, "404 page not found");
    co_return;
  }
  if (!allows(entry->methods, call.head.method)) {
    call.common.set("Allow", comma_separated(entry->methods));
    co_await send_empty(call, 405);
    co_return;
  }
  switch (entry->route) {
    case Route::kHealth:
      co_await send_empty(call, 204, true);
      break;
    case Route::kMetrics:
      co_await handle_metrics(call, state_, cpu_);
      break;
    case Route::kEnvs:
      co_await handle_envs(call, state_);
      break;
    case Route::kInit:
      co_await handle_init(call, state_);
      break;
    case Route::kFiles:
      if (call.head.method == "GET")
        co_await handle_download(call, state_);
      else
        co_await handle_upload(call, state_);
      break;
    case Route::kCompose:
      co_await handle_compose(call, state_);
      break;
    case Route::kOrchestrator:
      co_await send_error(call, 501,
                          "this endpoint of the orchestrator is not built in this emulator");
      break;
  }
}

}  // namespace fakeapi::envd
