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
#include "netfilter/egress/egress_proxy.h"
#include "netfilter/policy.h"

namespace emulator::decisions {

// What `explain` asks of the rest. All are set.
struct Lookups {
  using Resolve = netfilter::egress::EgressProxy::Resolve;

  // nullptr: no such sandbox.
  std::function<std::shared_ptr<const netfilter::Policy>(const std::string& id)> policy_of;
  // Names as a sandbox, and then the proxy, would see them from now on: answers that change with
  // every question do so here, and only here.
  std::function<Resolve()> resolver;
  // EgressProxy::foretell(): the verdict on a TCP connection.
  std::function<boost::asio::awaitable<netfilter::egress::Forecast>(
      netfilter::egress::Flow flow, Resolve resolve, netfilter::Trace* trace)>
      foretell;
  // The verdict on a datagram.
  std::function<netfilter::Decision(const netfilter::Policy& policy,
                                    const netfilter::Destination& destination,
                                    netfilter::Trace* trace)>
      judge;
  // Whether the address is internal (contract-network 5.3).
  std::function<bool(const netfilter::Ipv4& address)> is_internal;
};

// `log` outlives the handlers.
std::vector<control::ControlRoute> control_routes(DecisionLog& log, Lookups lookups);

}  // namespace emulator::decisions
