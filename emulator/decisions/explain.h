// A destination as a person names it, and what to change in the sandbox's lists to turn its verdict
// round. Pure; used by control_routes.cc, which asks the egress proxy for the verdict itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "netfilter/egress/flow.h"
#include "netfilter/policy.h"

namespace emulator::decisions {

// A destination as a sandbox would name it.
struct Question {
  netfilter::Protocol protocol = netfilter::Protocol::kTcp;
  std::string host;  // a name to look up; "" with an address
  std::optional<netfilter::Ipv4> address = {};
  std::uint16_t port = 0;
  // What a TCP client begins with. kOther: nothing that has a name.
  netfilter::egress::FlowClass speaks = netfilter::egress::FlowClass::kTls;
  std::string shown_name = {};  // the SNI or Host in that; "" = none
};

// "https://example.com/x", "http://1.1.1.1:8080", "ssh://1.1.1.1", "udp://8.8.8.8:53",
// "icmp://1.1.1.1", "example.com:5432". The scheme in any case; without one, and with tcp://, what
// suits the port. Whether a name that is shown counts there is not decided here. kInvalidArgument
// with what is wrong.
base::Result<Question> parse_destination(std::string_view text);

// What a client speaks to this TCP port unless it says so: http to 80, else TLS.
netfilter::egress::FlowClass usual_at(std::uint16_t port);

// "http", "tls", "other", "udp", "icmp": as the log sorts them. `kind` is for TCP.
std::string_view class_of(netfilter::Protocol protocol, netfilter::egress::FlowClass kind);

// A verdict, and what of it the lists could change.
struct Case {
  netfilter::Destination destination;
  netfilter::Decision decision;
  // The public addresses that the name leads to, and whether the connection goes to one of them
  // also when it is the address that is allowed (header rules, secrets).
  std::vector<netfilter::Ipv4> leads_to = {};
  bool is_changed = false;
};

// One line: what in the lists would turn the decision round, all of it; or why nothing would.
std::string change_for(const netfilter::Policy& policy, const Case& one);

}  // namespace emulator::decisions
