#include "fakeapi/envd/system_handler.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "emulator/base/secret.h"
#include "fakeapi/envd/init_request.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::size_t kInitLimit = 4U << 20U;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// 0 = the caller may change the state; else the status and text to answer.
HttpError init_permission(const std::optional<std::string>& given, const std::string& current) {
  HttpError error;
  error.status = 0;
  bool allowed = current.empty() || (given && base::same_secret(*given, current));
  if (allowed) return error;
  error.status = 401;
  error.message = given ? "access token validation failed" : "access token reset not authorized";
  return error;
}

void apply_init(InitRequest request, SandboxState& state) {
  if (request.timestamp) {
    if (state.last_init && *request.timestamp <= *state.last_init) return;
    state.last_init = request.timestamp;
  }
  SandboxConfiguration& configuration = state.configuration;
  configuration.access_token = request.access_token.value_or("");
  if (!request.default_user.empty()) configuration.default_user = std::move(request.default_user);
  if (!request.default_workdir.empty()) {
    configuration.default_workdir = std::move(request.default_workdir);
  }
  if (request.env_vars) configuration.env_vars = std::move(*request.env_vars);
}

}  // namespace

asio::awaitable<void> handle_metrics(HttpCall& call, SandboxState& state, CpuMeter& cpu) {
  const SandboxConfiguration& configuration = state.configuration;
  ResourceUsage usage = read_resource_usage();
  DiskUsage disk = read_disk_usage(
      static_cast<std::uint64_t>(std::max<std::int64_t>(configuration.disk_bytes, 0)));
  auto total = static_cast<std::uint64_t>(std::max<std::int64_t>(configuration.memory_bytes, 0));
  std::uint64_t used = total > 0 ? std::min(usage.memory_bytes, total) : usage.memory_bytes;
  auto now = state.now().time_since_epoch();
  json body = {
      {"ts", std::chrono::duration_cast<std::chrono::seconds>(now).count()},
      {"cpu_count", configuration.cpu_count},
      {"cpu_used_pct", cpu.used_percent(usage.cpu_usec, configuration.cpu_count)},
      {"mem_total", total},
      {"mem_used", used},
      {"mem_cache", usage.cache_bytes},
      {"mem_total_mib", total >> 20U},
      {"mem_used_mib", used >> 20U},
      {"disk_total", disk.total},
      {"disk_used", disk.used},
  };
  co_await send_json(call, dump(body), true);
}

asio::awaitable<void> handle_envs(HttpCall& call, SandboxState& state) {
  json body = state.global_environment();
  co_await send_json(call, dump(body), true);
}

asio::awaitable<void> handle_init(HttpCall& call, SandboxState& state) {
  call.common.set("X-Envd-Version", kEnvdVersion);
  auto text = co_await call.connection.read_full_body(kInitLimit);
  if (!text) {
    co_await send_empty(call, 400);
    co_return;
  }
  auto request = parse_init_request(*text);
  if (!request) {
    co_await send_empty(call, 400);
    co_return;
  }
  if (!request->unsupported.empty()) {
    co_await send_text(call, 501,
                       request->unsupported + " is not supported by this emulator's daemon");
    co_return;
  }
  const std::optional<std::string>& token = request->access_token;
  if (token && (token->empty() || request->escaped_token)) {
    co_await send_text(call, 400, "invalid access token");
    co_return;
  }
  HttpError refused = init_permission(token, state.configuration.access_token);
  if (refused.status != 0) {
    co_await send_text(call, refused.status, refused.message);
    co_return;
  }
  apply_init(std::move(*request), state);
  co_await send_empty(call, 204, true);
}

}  // namespace fakeapi::envd
