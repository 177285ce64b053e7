// The IPv4 addresses of a name: what the egress proxy dials when a policy allows a connection by
// name. Asked of the forwarder's resolvers, so that a sandbox and the proxy see the same answers.
// No cache, no hosts file, no IPv6.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/dns/message.h"
#include "emulator/dns/upstream.h"

namespace emulator::dns {

using Address = std::array<std::uint8_t, 4>;

// A query for the A records. `name` has labels of at most 63 bytes and 253 in all; nullopt if not.
std::optional<Bytes> make_query(const std::string& name, std::uint16_t type);

// Every A record among the answers, whoever's it is (CNAMEs lead to other names). Empty when the
// message is damaged.
std::vector<Address> addresses_in(View reply);

// Empty when the name has none. Errors: kInvalidArgument (no name), those of ask().
base::Task<std::vector<Address>> look_up(std::string name,
                                         Servers servers,
                                         std::chrono::milliseconds limit,
                                         OpenSocket open = nullptr);

}  // namespace emulator::dns
