// What is known of one outgoing connection. Plain values; what is decided about it is decide() of
// policy.h.
#pragma once

#include <cstdint>
#include <string>

#include "netfilter/ipv4.h"
#include "netfilter/policy.h"

namespace netfilter::egress {

// By destination port, as the cloud's proxy sorts them: 80, 443, the rest.
enum class FlowClass { kHttp, kTls, kOther };

// One lifecycle of one sandbox. Addresses and ids are re-used; a lifecycle is not.
struct SandboxRef {
  std::string id;
};

struct Flow {
  SandboxRef sandbox;
  FlowClass kind = FlowClass::kOther;
  Ipv4 address{};  // what the sandbox dialled
  std::uint16_t port = 0;
  std::string name;            // SNI or host, normalised; "" = none, or nothing depended on it
  bool machine_local = false;  // the address belongs to the machine that Sandlot runs on
};

// What decide() is asked about the flow.
Destination destination_of(const Flow& flow);

// Whether the verdict waits for what the client sends first: on ports 80 and 443, when a name may
// open what addresses do not, or when the address is denied (the cloud closes such a connection
// only after the first bytes, NET-49).
bool waits_for_name(const Policy& policy, const Flow& flow);

}  // namespace netfilter::egress
