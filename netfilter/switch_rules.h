// The rules that all sandboxes share, as text for iptables-restore. Pure. Loaded once into the
// switch namespace by network.cc; they match the veths by wildcard ("s+"), so their number does not
// depend on the number of sandboxes.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "netfilter/network.h"

namespace netfilter {

// Never reachable from a sandbox, by any protocol and whatever its policy allows
// (contract-network 2.3). The last two are ours: "this network", and multicast with everything
// above it. 169.254/16 holds the proxy's own address, which is why the rules look at packets before
// their destination is translated.
inline constexpr std::array<std::string_view, 8> kAlwaysDenied = {
    "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8",   "224.0.0.0/3"};

// The three tables, mangle, nat and filter, for IPv4.
std::string switch_rules(const SwitchPorts& ports);

// For IPv6: nothing passes.
std::string switch_rules_ipv6();

}  // namespace netfilter
