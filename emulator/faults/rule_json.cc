#include "emulator/faults/rule_json.h"

#include <array>

#include <nlohmann/json.hpp>

namespace emulator::faults {

using base::Errc;
using base::Result;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::int64_t kLongestLatency = 600'000;
constexpr std::size_t kLargestAnswer = 256U << 10U;

base::Failure wrong(std::string_view key, std::string_view wanted) {
  return base::fail(Errc::kInvalidArgument, "'" + std::string(key) + "' is " + std::string(wanted));
}

Result<std::string> text(std::string_view key, const Json& value) {
  if (!value.is_string()) return wrong(key, "a string");
  return value.get<std::string>();
}

Result<std::int64_t> number(std::string_view key,
                            const Json& value,
                            std::int64_t least,
                            std::int64_t most) {
  bool good = value.is_number_integer() && value >= least && value <= most;
  if (good) return value.get<std::int64_t>();
  return wrong(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

Result<Surface> surface(const Json& value) {
  if (value == "api") return Surface::kApi;
  if (value == "daemon") return Surface::kDaemon;
  if (value == "public") return Surface::kPublic;
  return wrong("on", "one of: api, daemon, public");
}

Result<proxy::Fault::Cut> cut(const Json& value) {
  using Cut = proxy::Fault::Cut;
  if (value == true || value == "request") return Cut::kRequest;
  if (value == "response") return Cut::kResponse;
  if (value == false) return Cut::kNone;
  return wrong("cut", "one of: true, false, \"request\", \"response\"");
}

Result<> read_effect(proxy::Fault& effect, const std::string& key, const Json& value) {
  if (key == "latencyMs") {
    SANDLOT_TRY(auto ms, number(key, value, 0, kLongestLatency));
    effect.latency = std::chrono::milliseconds(ms);
  } else if (key == "status") {
    SANDLOT_TRY(auto status, number(key, value, 200, 599));
    effect.status = static_cast<int>(status);
  } else if (key == "body") {
    effect.body = value.is_string() ? value.get<std::string>()
                                    : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (effect.body.size() > kLargestAnswer) return wrong(key, "at most 256 KiB");
  } else if (key == "cut") {
    SANDLOT_TRY(effect.cut, cut(value));
  } else {
    return base::fail(Errc::kInvalidArgument,
                      "unknown key '" + key +
                          "'; known are: method, path, sandboxID, on, probability, times, "
                          "latencyMs, status, body, cut");
  }
  return {};
}

Result<> read_condition(Rule& rule, const std::string& key, const Json& value) {
  if (key == "method") {
    SANDLOT_TRY(rule.method, text(key, value));
  } else if (key == "path") {
    SANDLOT_TRY(rule.path, text(key, value));
    if (rule.path.empty() || (rule.path[0] != '/' && rule.path[0] != '*')) {
      return wrong(key, "a path (\"/sandboxes/*/pause\"), without a query");
    }
  } else if (key == "sandboxID") {
    SANDLOT_TRY(rule.sandbox, text(key, value));
  } else if (key == "on") {
    SANDLOT_TRY(rule.surface, surface(value));
  } else if (key == "probability") {
    if (!value.is_number() || value < 0.0 || value > 1.0) return wrong(key, "from 0 to 1");
    rule.probability = value.get<double>();
  } else if (key == "times") {
    SANDLOT_TRY(auto times, number(key, value, 1, 1'000'000'000));
    rule.times = static_cast<std::uint64_t>(times);
  } else {
    return read_effect(rule.effect, key, value);
  }
  return {};
}

struct Unbuilt {
  std::string_view type;
  std::string_view reason;
};
constexpr std::array kUnbuilt{
    Unbuilt{"oom", "run something in the sandbox that takes more memory than it has"},
    Unbuilt{"disk_full", "a sandbox's disk has no size of its own"},
    Unbuilt{"bandwidth", "traffic is not shaped"},
    Unbuilt{"dns_nxdomain", "use network.denyOut, or --internet fake without the name"},
};

const char* surface_word(Surface surface) {
  return surface == Surface::kApi ? "api" : surface == Surface::kDaemon ? "daemon" : "public";
}

Json rule_value(const Rule& rule) {
  Json json;
  json["id"] = rule.id;
  if (!rule.of_sandbox_fault.empty()) json["type"] = rule.of_sandbox_fault;
  if (!rule.method.empty()) json["method"] = rule.method;
  if (!rule.path.empty()) json["path"] = rule.path;
  if (!rule.sandbox.empty()) json["sandboxID"] = rule.sandbox;
  if (rule.surface) json["on"] = surface_word(*rule.surface);
  json["probability"] = rule.probability;
  if (rule.times) json["times"] = *rule.times;
  const proxy::Fault& effect = rule.effect;
  if (effect.latency.count() > 0) json["latencyMs"] = effect.latency.count();
  if (effect.status != 0) json["status"] = effect.status;
  if (!effect.body.empty()) json["body"] = effect.body;
  if (effect.cut == proxy::Fault::Cut::kRequest) json["cut"] = "request";
  if (effect.cut == proxy::Fault::Cut::kResponse) json["cut"] = "response";
  json["hits"] = rule.hits;
  return json;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<Rule> parse_rule(std::string_view body) {
  Json object = Json::parse(body, nullptr, false);
  if (!object.is_object()) {
    return base::fail(Errc::kInvalidArgument,
                      R"(expected an object such as {"path": "/sandboxes", "status": 503})");
  }
  Rule rule;
  for (const auto& [key, value] : object.items()) SANDLOT_CHECK(read_condition(rule, key, value));
  proxy::Fault& effect = rule.effect;
  bool cuts = effect.cut != proxy::Fault::Cut::kNone;
  if (effect.status == 0 && !cuts && effect.latency.count() == 0) {
    return base::fail(Errc::kInvalidArgument, "one of latencyMs, status and cut is needed");
  }
  if (effect.status != 0 && cuts) {
    return base::fail(Errc::kInvalidArgument, "'status' and 'cut' exclude each other");
  }
  if (effect.status == 0 && !effect.body.empty()) {
    return base::fail(Errc::kInvalidArgument, "'body' needs a 'status'");
  }
  return rule;
}

Result<SandboxFault> parse_sandbox_fault(std::string_view body) {
  Json object = Json::parse(body, nullptr, false);
  if (!object.is_object() || !object.contains("type") || !object["type"].is_string()) {
    return base::fail(Errc::kInvalidArgument, R"(expected {"type": "freeze"} or its like)");
  }
  SandboxFault fault;
  fault.type = object["type"].get<std::string>();
  for (const Unbuilt& unbuilt : kUnbuilt) {
    if (fault.type != unbuilt.type) continue;
    return base::fail(Errc::kUnimplemented, "the fault '" + fault.type +
                                                "' is not built: " + std::string(unbuilt.reason));
  }
  for (const auto& [key, value] : object.items()) {
    if (key == "type") continue;
    if (fault.type == "latency" && key == "latencyMs") {
      SANDLOT_TRY(auto ms, number(key, value, 1, kLongestLatency));
      fault.latency = std::chrono::milliseconds(ms);
    } else if (fault.type == "latency" && key == "times") {
      SANDLOT_TRY(auto times, number(key, value, 1, 1'000'000'000));
      fault.times = static_cast<std::uint64_t>(times);
    } else {
      return base::fail(Errc::kInvalidArgument,
                        "unknown key '" + key + "' of the fault '" + fault.type + "'");
    }
  }
  bool known = fault.type == "kill_daemon" || fault.type == "freeze" || fault.type == "latency" ||
               fault.type == "reset_peer";
  if (!known) {
    return wrong("type",
                 "one of: kill_daemon, freeze, latency, reset_peer (and, not built yet: oom, "
                 "disk_full, bandwidth, dns_nxdomain)");
  }
  if (fault.type == "latency" && fault.latency.count() == 0) {
    return base::fail(Errc::kInvalidArgument, "the fault 'latency' needs 'latencyMs'");
  }
  return fault;
}

std::string rule_json(const Rule& rule) {
  return dump(rule_value(rule));
}

std::string rules_json(std::span<const Rule> rules) {
  Json array = Json::array();
  for (const Rule& rule : rules) array.push_back(rule_value(rule));
  return dump(array);
}

}  // namespace emulator::faults
