// Faults as JSON, both ways. Pure. Used by the control routes alone.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/faults/fault_rules.h"
#include "emulator/faults/sandbox_faults.h"

namespace emulator::faults {

// {method?, path?, sandboxID?, on?, probability?, times?, latencyMs?, status?, body?, cut?}.
// kInvalidArgument: an unknown key, a bad value, or nothing that would happen.
base::Result<Rule> parse_rule(std::string_view body);

// {type, durationMs?, times?, latencyMs?, bytesPerSecond?, names?}: each key of those types alone
// that know it (docs/control-api.md). kInvalidArgument likewise.
base::Result<SandboxFault> parse_sandbox_fault(std::string_view body);

std::string_view type_name(SandboxFaultType type);

std::string rule_json(const Rule& rule);
std::string fault_json(const StandingFault& fault);
// One array: the rules that are no sandbox's fault, then the faults.
std::string faults_json(std::span<const Rule> rules, std::span<const StandingFault> faults);

}  // namespace emulator::faults
