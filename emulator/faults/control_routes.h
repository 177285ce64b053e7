// Faults in the control API. Used by emulator/application, which hands the routes to the control
// API. docs/control-api.md says what they do.
//   GET, POST, DELETE /_sandlot/faults       DELETE /_sandlot/faults/{id}
//   GET, POST, DELETE /_sandlot/sandboxes/{id}/faults
#pragma once

#include <vector>

#include "emulator/control/route.h"
#include "emulator/faults/fault_rules.h"
#include "emulator/faults/sandbox_faults.h"

namespace emulator::faults {

// Both outlive the handlers.
std::vector<control::ControlRoute> control_routes(FaultRules& rules, SandboxFaults& faults);

}  // namespace emulator::faults
