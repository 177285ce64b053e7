#include "emulator/faults/rule_json.h"

#include <array>

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"
#include "netfilter/bandwidth.h"
#include "netfilter/domain_pattern.h"

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

const char* surface_word(Surface surface) {
  return surface == Surface::kApi ? "api" : surface == Surface::kDaemon ? "daemon" : "public";
}

Json rule_value(const Rule& rule) {
  Json json;
  json["id"] = rule.id;
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

struct TypeName {
  SandboxFaultType type;
  std::string_view name;
};
constexpr std::array kTypes{TypeName{SandboxFaultType::kKillDaemon, "kill_daemon"},
                            TypeName{SandboxFaultType::kOom, "oom"},
                            TypeName{SandboxFaultType::kFreeze, "freeze"},
                            TypeName{SandboxFaultType::kDiskFull, "disk_full"},
                            TypeName{SandboxFaultType::kLatency, "latency"},
                            TypeName{SandboxFaultType::kBandwidth, "bandwidth"},
                            TypeName{SandboxFaultType::kResetPeer, "reset_peer"},
                            TypeName{SandboxFaultType::kDnsNxdomain, "dns_nxdomain"}};

Result<SandboxFaultType> fault_type(const Json& value) {
  std::string all;
  for (const TypeName& known : kTypes) {
    if (value == known.name) return known.type;
    if (!all.empty()) all += ", ";
    all += known.name;
  }
  return wrong("type", "one of: " + all);
}

// As in network.allowOut: "example.com", "*.example.com", "*".
Result<std::vector<std::string>> name_list(std::string_view key, const Json& value) {
  constexpr std::size_t kMostNames = 1000;
  std::vector<std::string> names;
  bool good = value.is_array() && !value.empty() && value.size() <= kMostNames;
  for (std::size_t i = 0; good && i < value.size(); ++i) {
    good =
        value[i].is_string() && netfilter::DomainPattern(value[i].get<std::string>()).can_match();
    if (good) names.push_back(value[i].get<std::string>());
  }
  if (good) return names;
  return wrong(key, R"(a list of 1 to 1000 names: "example.com", "*.example.com", "*")");
}

Result<> read_fault(SandboxFault& fault, const std::string& key, const Json& value) {
  using Type = SandboxFaultType;
  constexpr std::int64_t kLongest = 7LL * 24 * 3600 * 1000;
  bool counted = fault.type == Type::kLatency || fault.type == Type::kDnsNxdomain;
  if (key == "durationMs" && lasts(fault.type)) {
    SANDLOT_TRY(auto ms, number(key, value, 1, kLongest));
    fault.duration = std::chrono::milliseconds(ms);
  } else if (key == "times" && counted) {
    SANDLOT_TRY(auto times, number(key, value, 1, 1'000'000'000));
    fault.times = static_cast<std::uint64_t>(times);
  } else if (key == "latencyMs" && fault.type == Type::kLatency) {
    SANDLOT_TRY(auto ms, number(key, value, 1, kLongestLatency));
    fault.latency = std::chrono::milliseconds(ms);
  } else if (key == "bytesPerSecond" && fault.type == Type::kBandwidth) {
    SANDLOT_TRY(auto rate, number(key, value, netfilter::kLeastBandwidth,
                                  static_cast<std::int64_t>(netfilter::kMostBandwidth)));
    fault.bytes_per_second = static_cast<std::uint64_t>(rate);
  } else if (key == "names" && fault.type == Type::kDnsNxdomain) {
    SANDLOT_TRY(fault.names, name_list(key, value));
  } else {
    return base::fail(Errc::kInvalidArgument, "unknown key '" + key + "' of the fault '" +
                                                  std::string(type_name(fault.type)) + "'");
  }
  return {};
}

Json fault_value(const StandingFault& fault) {
  using Type = SandboxFaultType;
  const SandboxFault& what = fault.what;
  Json json;
  json["id"] = fault.id;
  json["type"] = type_name(what.type);
  json["sandboxID"] = fault.sandbox;
  if (what.type == Type::kLatency) json["latencyMs"] = what.latency.count();
  if (what.type == Type::kBandwidth) json["bytesPerSecond"] = what.bytes_per_second;
  if (what.type == Type::kDnsNxdomain) json["names"] = what.names;
  if (what.times) json["times"] = *what.times;
  if (fault.until) json["until"] = base::format_rfc3339(*fault.until);
  if (what.type == Type::kLatency || what.type == Type::kDnsNxdomain) json["hits"] = fault.hits;
  return json;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<Rule> parse_rule(std::string_view body) {
  Json object = base::parse_json<Json>(body);
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
  using Type = SandboxFaultType;
  Json object = base::parse_json<Json>(body);
  if (!object.is_object() || !object.contains("type") || !object["type"].is_string()) {
    return base::fail(Errc::kInvalidArgument, R"(expected {"type": "freeze"} or its like)");
  }
  SandboxFault fault;
  SANDLOT_TRY(fault.type, fault_type(object["type"]));
  for (const auto& [key, value] : object.items()) {
    if (key != "type") SANDLOT_CHECK(read_fault(fault, key, value));
  }
  if (fault.type == Type::kLatency && fault.latency.count() == 0) {
    return base::fail(Errc::kInvalidArgument, "the fault 'latency' needs 'latencyMs'");
  }
  if (fault.type == Type::kBandwidth && fault.bytes_per_second == 0) {
    return base::fail(Errc::kInvalidArgument, "the fault 'bandwidth' needs 'bytesPerSecond'");
  }
  if (fault.type == Type::kDnsNxdomain && fault.names.empty()) fault.names = {"*"};
  return fault;
}

std::string_view type_name(SandboxFaultType type) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "";
}

std::string rule_json(const Rule& rule) {
  return dump(rule_value(rule));
}

std::string fault_json(const StandingFault& fault) {
  return dump(fault_value(fault));
}

std::string faults_json(std::span<const Rule> rules, std::span<const StandingFault> faults) {
  Json array = Json::array();
  for (const Rule& rule : rules) {
    if (!rule.of_sandbox_fault) array.push_back(rule_value(rule));
  }
  for (const StandingFault& fault : faults) array.push_back(fault_value(fault));
  return dump(array);
}

}  // namespace emulator::faults
