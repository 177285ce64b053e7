// The rules that all sandboxes share, as text for iptables-restore. Pure. Loaded once into the
// switch namespace by network.cc; they match the veths by wildcard ("s+"), so their number does not
// depend on the number of sandboxes.
#pragma once

#include <string>

#include "netfilter/network.h"

namespace netfilter {

// The three tables, mangle, nat and filter, for IPv4.
// With `uplink`, UDP and ICMP are forwarded to the link of uplink.h and masqueraded there.
std::string switch_rules(const SwitchPorts& ports, bool uplink = false);

// For IPv6: nothing passes.
std::string switch_rules_ipv6();

}  // namespace netfilter
