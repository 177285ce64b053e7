// The switch's way out: one link from the switch to a network namespace that plays the internet
// (`--internet fake`). With it the egress proxy and the DNS forwarder dial from inside the switch,
// and UDP and ICMP of the sandboxes are forwarded, all under one address. Used by
// emulator/application. The rules that belong to it are in switch_rules.cc; the link disappears
// with either namespace.
#pragma once

#include "emulator/base/result.h"
#include "netfilter/ipv4.h"
#include "netfilter/network.h"

namespace netfilter {

inline constexpr const char* kUplinkName = "up0";      // in the switch
inline constexpr const char* kDownlinkName = "down0";  // in the internet's namespace
inline constexpr int kDownlinkIndex = 900;
// The source of everything that arrives at the far end (TEST-NET-3, as a public address would be).
inline constexpr Ipv4 kUplinkAddress = {203, 0, 113, 2};
inline constexpr Ipv4 kDownlinkAddress = {203, 0, 113, 1};

// Makes the link, both addresses, the switch's default route and permanent neighbours. `network`
// must have been created with `uplink`. Blocking (two netlink batches).
base::Result<> connect_uplink(const SwitchNamespace& network, int internet_netns);

}  // namespace netfilter
