#include "netfilter/egress/flow.h"

#include <algorithm>

namespace netfilter::egress {

bool OwnDoor::has(std::uint16_t port) const {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

Destination destination_of(const Flow& flow) {
  Destination destination;
  destination.address = flow.address;
  destination.port = flow.port;
  if (flow.own_door) destination.port = flow.kind == FlowClass::kTls ? 443 : 80;
  destination.name = flow.name;
  destination.machine_local = flow.machine_local;
  return destination;
}

bool may_have_name(const Flow& flow) {
  return flow.kind != FlowClass::kOther || flow.own_door;
}

bool waits_for_name(const Policy& policy, const Flow& flow) {
  if (!may_have_name(flow) || !policy.restricts()) return false;
  Decision unnamed = decide(policy, destination_of(flow));
  if (unnamed.match == MatchType::kInternal) return false;
  return !unnamed.allowed || !policy.allowed_domains().empty();
}

}  // namespace netfilter::egress
