// Faults in the control API. Used by emulator/application, which hands the routes to the control
// API. docs/control-api.md says what they do.
//   GET, POST, DELETE /_sandlot/faults       DELETE /_sandlot/faults/{id}
//   POST, DELETE /_sandlot/sandboxes/{id}/faults
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/control/route.h"
#include "emulator/faults/fault_rules.h"

namespace emulator::faults {

// What faults do to a sandbox itself. kNotFound when there is none. All are set.
struct SandboxActions {
  std::function<bool(const std::string& id)> exists;
  std::function<base::Result<>(const std::string& id)> kill_daemon;
  // Stops everything in it, or lets it go on, without the cloud's knowing.
  std::function<base::Task<>(std::string id, bool frozen)> freeze;
  // Resets every connection that it has.
  std::function<base::Result<>(const std::string& id)> reset_peers;
};

// `rules` outlives the handlers.
std::vector<control::ControlRoute> control_routes(FaultRules& rules, SandboxActions actions);

}  // namespace emulator::faults
