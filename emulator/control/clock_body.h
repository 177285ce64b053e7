// The bodies of /_sandlot/clock. Pure. Used by the control API alone.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"

namespace emulator::control {

// What a request asks for, in the order in which it is done.
struct ClockChange {
  bool reset = false;
  std::optional<bool> freeze;
  std::chrono::milliseconds advance{};
};

struct ClockReport {
  base::TimePoint now;
  std::chrono::milliseconds offset{};  // ahead of the machine's clock
  bool frozen = false;
};

// {"advance": "5m"}, {"freeze": true}, {"reset": true}, or several of them. kInvalidArgument: an
// unknown key, a value of the wrong type, a step backwards, nothing at all.
base::Result<ClockChange> parse_clock_change(std::string_view body);
// {"now": "2026-01-02T03:04:05.678Z", "offsetMs": 300000, "frozen": false}
std::string clock_json(const ClockReport& report);

}  // namespace emulator::control
