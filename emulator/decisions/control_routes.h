// The decision log and `explain` in the control API. Used by emulator/application, which hands the
// routes to the control API. Decides nothing.
//   GET  /_sandlot/sandboxes/{id}/egress?decision=&follow=   the log of one sandbox
//   GET  /_sandlot/egress?decision=&follow=                  of all
//   POST /_sandlot/sandboxes/{id}/explain                    {url} or {ip, port, serverName?,
//                                                            protocol?}
// Bodies and columns: docs/decision-log.md.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/control/route.h"
#include "emulator/decisions/decision_log.h"
#include "netfilter/policy.h"

namespace emulator::decisions {

// What `explain` asks of the rest. All are set.
struct Lookups {
  // nullptr: no such sandbox.
  std::function<std::shared_ptr<const netfilter::Policy>(const std::string& id)> policy_of;
  // As the sandbox would see the name.
  std::function<base::Task<std::vector<netfilter::Ipv4>>(std::string name)> resolve;
  // decide(), with what only the network knows.
  std::function<netfilter::Decision(const netfilter::Policy& policy,
                                    const netfilter::Destination& destination,
                                    netfilter::Trace* trace)>
      judge;
};

// `log` outlives the handlers.
std::vector<control::ControlRoute> control_routes(DecisionLog& log, Lookups lookups);

}  // namespace emulator::decisions
