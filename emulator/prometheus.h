// GET /_sandlot/metrics: what the emulator has and has done, in Prometheus' text format. Pure. Used
// by the instruments alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "emulator/control/control_api.h"

namespace emulator {

// Since the emulator's start.
struct Totals {
  // Of the cloud's and the control API, by method and status; 0 = no answer.
  std::map<std::pair<std::string, int>, std::uint64_t> requests;
  double request_seconds = 0;
  // Of sandboxes, by name and success.
  std::map<std::pair<std::string, bool>, std::uint64_t> events;
  std::uint64_t faults = 0;  // answered or cut
};

// One of the methods that exist, or "other": nobody makes a series of their own.
std::string method_label(const std::string& method);
std::string prometheus_text(const control::StateReport& state, const Totals& totals);

}  // namespace emulator
