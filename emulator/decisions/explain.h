// What would become of a connection, and why: the trace of netfilter's decide() for a destination
// that a person names, and what to change in the sandbox's lists. Pure; used by control_routes.cc,
// which finds out the addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "netfilter/policy.h"

namespace emulator::decisions {

// A destination as a sandbox would name it.
struct Question {
  netfilter::Protocol protocol = netfilter::Protocol::kTcp;
  std::string host;  // a name to look up; "" with an address
  std::optional<netfilter::Ipv4> address = {};
  std::uint16_t port = 0;
  std::string shown_name = {};  // SNI or Host; "" = none
};

// "https://example.com/x", "http://1.1.1.1:8080", "tcp://1.1.1.1:22", "udp://8.8.8.8:53",
// "icmp://1.1.1.1", "example.com:5432" (TCP that shows no name, but on 80 and 443).
// kInvalidArgument with what is wrong.
base::Result<Question> parse_destination(std::string_view text);

// "http", "tls", "other", "udp", "icmp": as the log sorts them.
std::string_view class_of(const netfilter::Destination& destination);

// One line: what in the lists would turn the decision round, or why nothing would.
std::string change_for(const netfilter::Policy& policy,
                       const netfilter::Destination& destination,
                       const netfilter::Decision& decision);

}  // namespace emulator::decisions
