// Connection tracking of the switch, as far as it must be told something: it remembers a UDP flow
// for two minutes and more, as long as the far end sends, and an address goes on to the next
// sandbox sooner. Used by make_slot.
#pragma once

#include <cstddef>

#include "emulator/base/result.h"
#include "netfilter/ipv4.h"

namespace netfilter {

// Forgets every flow that `address` began, in the calling thread's network namespace; how many.
// kUnimplemented on a kernel without ctnetlink. Blocking: one walk of the table (0.1-3 ms).
base::Result<std::size_t> forget_flows_of(const Ipv4& address);

}  // namespace netfilter
