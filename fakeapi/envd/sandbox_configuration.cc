#include "fakeapi/envd/sandbox_configuration.h"

#include <nlohmann/json.hpp>

namespace fakeapi::envd {

using base::Errc;
using nlohmann::json;

namespace {

template <class T>
void read_field(const json& object, const char* name, T& into) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) into = found->get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) into = found->get<bool>();
  } else {
    if (found->is_number_integer()) into = found->get<T>();
  }
}

json clock_json(const ClockSetting& clock) {
  json object = {{"offsetMs", clock.offset_ms}};
  if (clock.frozen_ms) object["frozenMs"] = *clock.frozen_ms;
  return object;
}

void read_clock(const json& object, ClockSetting& into) {
  if (!object.is_object()) return;
  read_field(object, "offsetMs", into.offset_ms);
  std::int64_t frozen = 0;
  if (object.contains("frozenMs")) {
    read_field(object, "frozenMs", frozen);
    into.frozen_ms = frozen;
  }
}

}  // namespace

std::string encode(const SandboxConfiguration& configuration) {
  json object = {
      {"sandboxID", configuration.sandbox_id},
      {"templateID", configuration.template_id},
      {"buildID", configuration.build_id},
      {"accessToken", configuration.access_token},
      {"envVars", configuration.env_vars},
      {"defaultUser", configuration.default_user},
      {"defaultWorkdir", configuration.default_workdir},
      {"cpuCount", configuration.cpu_count},
      {"memoryBytes", configuration.memory_bytes},
      {"diskBytes", configuration.disk_bytes},
      {"serve", configuration.serve},
      {"httpbin", configuration.httpbin},
      {"clock", clock_json(configuration.clock)},
  };
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

base::Result<SandboxConfiguration> decode_configuration(std::string_view message) {
  json object = json::parse(message, nullptr, false);
  if (!object.is_object())
    return base::fail(Errc::kInvalidArgument, "configuration is not a JSON object");
  SandboxConfiguration configuration;
  read_field(object, "sandboxID", configuration.sandbox_id);
  read_field(object, "templateID", configuration.template_id);
  read_field(object, "buildID", configuration.build_id);
  read_field(object, "accessToken", configuration.access_token);
  read_field(object, "defaultUser", configuration.default_user);
  read_field(object, "defaultWorkdir", configuration.default_workdir);
  read_field(object, "cpuCount", configuration.cpu_count);
  read_field(object, "memoryBytes", configuration.memory_bytes);
  read_field(object, "diskBytes", configuration.disk_bytes);
  read_field(object, "serve", configuration.serve);
  read_field(object, "httpbin", configuration.httpbin);
  if (auto clock = object.find("clock"); clock != object.end()) {
    read_clock(*clock, configuration.clock);
  }
  auto variables = object.find("envVars");
  if (variables != object.end() && variables->is_object()) {
    for (const auto& [name, value] : variables->items()) {
      if (value.is_string()) configuration.env_vars[name] = value.get<std::string>();
    }
  }
  if (configuration.sandbox_id.empty()) {
    return base::fail(Errc::kInvalidArgument, "configuration has no sandboxID");
  }
  return configuration;
}

std::string encode_memory(std::int64_t bytes) {
  json object = {{"setMemory", bytes}};
  return object.dump();
}

std::optional<std::int64_t> decode_memory(std::string_view message) {
  json object = json::parse(message, nullptr, false);
  if (!object.is_object() || !object.contains("setMemory")) return std::nullopt;
  std::int64_t bytes = 0;
  read_field(object, "setMemory", bytes);
  return bytes;
}

std::string encode_clock(const ClockSetting& clock) {
  json object = {{"setClock", clock_json(clock)}};
  return object.dump();
}

std::optional<ClockSetting> decode_clock(std::string_view message) {
  json object = json::parse(message, nullptr, false);
  if (!object.is_object() || !object.contains("setClock")) return std::nullopt;
  ClockSetting clock;
  read_clock(object["setClock"], clock);
  return clock;
}

}  // namespace fakeapi::envd
