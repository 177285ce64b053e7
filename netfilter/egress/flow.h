// What is known of one outgoing connection. Plain values; what is decided about it is decide() of
// policy.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  bool own_door = false;       // the address is OwnDoor's
  bool machine_local = false;  // the address belongs to the machine that Sandlot runs on
};

// The emulator's own front door, as sandboxes see it: where they find each other's public URLs. In
// the cloud that is ordinary internet. A connection to it is judged like one to port 80 or 443,
// whichever of its ports it uses.
struct OwnDoor {
  Ipv4 address{};                    // what its names resolve to
  std::vector<std::uint16_t> ports;  // on which it answers there
  std::uint16_t listens_on = 0;      // the port of this machine's loopback where it really is

  bool has(std::uint16_t port) const;
};

// What becomes of a flow, said before there is one (EgressProxy::foretell).
struct Forecast {
  Flow flow;
  Decision decision;
  bool is_changed = false;         // its requests are
  std::vector<Ipv4> targets = {};  // where it is dialled, in this order; none: it is not
};

// What decide() is asked about the flow.
Destination destination_of(const Flow& flow);

// Whether what the client sends first may say a name: on ports 80 and 443, and at our own door.
bool may_have_name(const Flow& flow);

// Whether the verdict waits for what the client sends first: on ports 80 and 443, when a name may
// open what addresses do not, or when the address is denied (the cloud closes such a connection
// only after the first bytes, NET-49).
bool waits_for_name(const Policy& policy, const Flow& flow);

}  // namespace netfilter::egress
