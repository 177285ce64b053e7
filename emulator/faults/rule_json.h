// Fault rules as JSON, both ways. Pure. Used by the control routes alone.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/faults/fault_rules.h"

namespace emulator::faults {

// {method?, path?, sandboxID?, on?, probability?, times?, latencyMs?, status?, body?, cut?}.
// kInvalidArgument: an unknown key, a bad value, or nothing that would happen.
base::Result<Rule> parse_rule(std::string_view body);

struct SandboxFault {
  std::string type;
  std::chrono::milliseconds latency{};  // latency
  std::optional<std::uint64_t> times;   // latency
};
// {type, latencyMs?, times?}. kUnimplemented, with the reason, for types that are named but not
// built.
base::Result<SandboxFault> parse_sandbox_fault(std::string_view body);

std::string rule_json(const Rule& rule);
std::string rules_json(std::span<const Rule> rules);

}  // namespace emulator::faults
