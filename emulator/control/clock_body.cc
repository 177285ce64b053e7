#include "emulator/control/clock_body.h"

#include <nlohmann/json.hpp>

#include "emulator/base/json.h"
#include "emulator/config/units.h"

namespace emulator::control {

using base::Errc;
using Json = nlohmann::ordered_json;

namespace {

// Far beyond every deadline, and no sum of a few overflows.
constexpr std::chrono::milliseconds kLongestStep = std::chrono::hours(24 * 3660);

base::Result<bool> flag(std::string_view key, const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  return base::fail(Errc::kInvalidArgument, "'" + std::string(key) + "' is true or false");
}

base::Result<std::chrono::milliseconds> step(const Json& value) {
  if (!value.is_string()) {
    return base::fail(Errc::kInvalidArgument, "'advance' is a duration such as \"5m\"");
  }
  SANDLOT_TRY(auto by, config::parse_duration(value.get<std::string>()));
  if (by < std::chrono::milliseconds(0) || by > kLongestStep) {
    return base::fail(Errc::kInvalidArgument, "'advance' is between 0 and 3660d");
  }
  return by;
}

}  // namespace

base::Result<ClockChange> parse_clock_change(std::string_view body) {
  Json object = base::parse_json<Json>(body);
  if (!object.is_object() || object.empty()) {
    return base::fail(Errc::kInvalidArgument,
                      R"(expected {"advance": "5m"}, {"freeze": true} or {"reset": true})");
  }
  ClockChange change;
  for (const auto& [key, value] : object.items()) {
    if (key == "advance") {
      SANDLOT_TRY(change.advance, step(value));
    } else if (key == "freeze") {
      SANDLOT_TRY(change.freeze, flag(key, value));
    } else if (key == "reset") {
      SANDLOT_TRY(change.reset, flag(key, value));
    } else {
      return base::fail(Errc::kInvalidArgument, "unknown key '" + key + "'");
    }
  }
  return change;
}

std::string clock_json(const ClockReport& report) {
  Json body;
  body["now"] = base::format_rfc3339(report.now);
  body["offsetMs"] = report.offset.count();
  body["frozen"] = report.frozen;
  return body.dump();
}

}  // namespace emulator::control
