#include "netfilter/egress/flow.h"

namespace netfilter::egress {

Destination destination_of(const Flow& flow) {
  Destination destination;
  destination.address = flow.address;
  destination.port = flow.port;
  destination.name = flow.name;
  destination.machine_local = flow.machine_local;
  return destination;
}

bool waits_for_name(const Policy& policy, const Flow& flow) {
  if (flow.kind == FlowClass::kOther || !policy.restricts()) return false;
  Decision unnamed = decide(policy, destination_of(flow));
  if (unnamed.match == MatchType::kInternal) return false;
  return !unnamed.allowed || !policy.allowed_domains().empty();
}

}  // namespace netfilter::egress
