// The floor's network: one veth pair per sandbox by raw rtnetlink, its peer born inside the
// sandbox's namespace (performance.md 2.2), a routed /32, permanent neighbours, no name or index
// ever used twice. Used by the floor program only; independent of netfilter/ on purpose, because it
// is the yardstick for it.
#pragma once

#include <cstdint>

#include "emulator/base/unique_fd.h"

namespace bench {

// The name of the step that failed (errno says why), or nullptr.
using FailedStep = const char*;

// A NETLINK_ROUTE socket in the network namespace of the calling thread.
base::UniqueFd open_route_socket();

// In the switch namespace: link number `number` with its peer `eth0` in `netns`, the route and the
// neighbour.
FailedStep make_link(int route_socket, std::uint32_t number, int netns);

// Inside the sandbox's namespace: lo up, eth0's address, gateway neighbour, default route.
FailedStep configure_inside(int route_socket, std::uint32_t number);

}  // namespace bench
