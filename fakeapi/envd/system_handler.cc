#include "fakeapi/envd/system_handler.h"

#include <charconv>
#include <chrono>

#include <nlohmann/json.hpp>

#include "fakeapi/envd/signature.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::size_t kInitLimit = 4U << 20U;
using Time = std::chrono::system_clock::time_point;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<int> digits(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 3339: "2026-01-02T03:04:05.678Z" or with an offset.
std::optional<Time> parse_time(std::string_view text) {
  using namespace std::chrono;  // NOLINT(google-build-using-namespace)
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
    return std::nullopt;
  auto year_number = digits(text.substr(0, 4));
  auto month_number = digits(text.substr(5, 2));
  auto day_number = digits(text.substr(8, 2));
  auto hour = digits(text.substr(11, 2));
  auto minute = digits(text.substr(14, 2));
  auto second = digits(text.substr(17, 2));
  if (!year_number || !month_number || !day_number || !hour || !minute || !second)
    return std::nullopt;
  year_month_day date(year(*year_number), month(static_cast<unsigned>(*month_number)),
                      day(static_cast<unsigned>(*day_number)));
  if (!date.ok()) return std::nullopt;
  Time time = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  text.remove_prefix(19);
  if (text.starts_with('.')) {
    std::int64_t scale = 1000000000;
    std::int64_t fraction = 0;
    for (text.remove_prefix(1); !text.empty() && text[0] >= '0' && text[0] <= '9';
         text.remove_prefix(1)) {
      scale /= 10;
      fraction += (text[0] - '0') * scale;
    }
    time += duration_cast<Time::duration>(nanoseconds(fraction));
  }
  if (text == "Z" || text == "z") return time;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  auto offset_hours = digits(text.substr(1, 2));
  auto offset_minutes = digits(text.substr(4, 2));
  if (!offset_hours || !offset_minutes) return std::nullopt;
  auto offset = hours(*offset_hours) + minutes(*offset_minutes);
  return text[0] == '+' ? time - offset : time + offset;
}

std::optional<std::string> text_field(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

bool present(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && !found->is_null() && !(found->is_array() && found->empty()) &&
         !(found->is_string() && found->get_ref<const std::string&>().empty());
}

// 0 = the caller may change the state; else the status and text to answer.
HttpError init_permission(const std::optional<std::string>& given, const std::string& current) {
  HttpError error;
  error.status = 0;
  bool allowed = current.empty() || (given && constant_time_equal(*given, current));
  if (allowed) return error;
  error.status = 401;
  error.message = given ? "access token validation failed" : "access token reset not authorized";
  return error;
}

void apply_init(const json& body, const std::optional<std::string>& token, SandboxState& state) {
  auto stamp = text_field(body, "timestamp");
  if (stamp) {
    auto time = parse_time(*stamp);
    if (time && state.last_init && *time <= *state.last_init) return;
    if (time) state.last_init = time;
  }
  SandboxConfiguration& configuration = state.configuration;
  configuration.access_token = token.value_or("");
  if (auto user = text_field(body, "defaultUser"); user && !user->empty())
    configuration.default_user = *user;
  if (auto directory = text_field(body, "defaultWorkdir"); directory && !directory->empty()) {
    configuration.default_workdir = *directory;
  }
  auto variables = body.find("envVars");
  if (variables == body.end() || !variables->is_object()) return;
  configuration.env_vars.clear();
  for (const auto& [name, value] : variables->items()) {
    if (value.is_string()) configuration.env_vars[name] = value.get<std::string>();
  }
}

}  // namespace

asio::awaitable<void> handle_metrics(HttpCall& call, SandboxState& state, CpuMeter& cpu) {
  const SandboxConfiguration& configuration = state.configuration;
  ResourceUsage usage = read_resource_usage();
  DiskUsage disk = read_disk_usage(
      static_cast<std::uint64_t>(std::max<std::int64_t>(configuration.disk_bytes, 0)));
  auto total = static_cast<std::uint64_t>(std::max<std::int64_t>(configuration.memory_bytes, 0));
  std::uint64_t used = total > 0 ? std::min(usage.memory_bytes, total) : usage.memory_bytes;
  auto now = std::chrono::system_clock::now().time_since_epoch();
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
  json body = text->empty() ? json::object() : json::parse(*text, nullptr, false);
  if (!body.is_object()) {
    co_await send_empty(call, 400);
    co_return;
  }
  for (const char* name : {"volumeMounts", "hyperloopIP", "caBundle"}) {
    if (!present(body, name)) continue;
    co_await send_text(call, 501,
                       std::string(name) + " is not supported by this emulator's daemon");
    co_return;
  }
  auto token = text_field(body, "accessToken");
  if (token && (token->empty() || token->find_first_of("\\\"") != std::string::npos)) {
    co_await send_text(call, 400, "invalid access token");
    co_return;
  }
  HttpError refused = init_permission(token, state.configuration.access_token);
  if (refused.status != 0) {
    co_await send_text(call, refused.status, refused.message);
    co_return;
  }
  apply_init(body, token, state);
  co_await send_empty(call, 204, true);
}

}  // namespace fakeapi::envd
