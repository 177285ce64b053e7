// IPv4 addresses and ranges as values, and the ranges that no sandbox ever reaches. Pure; used by
// the kernel rules (switch_rules) and by the proxy's decision (egress/decide), so that both have
// one list.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netfilter {

// Network byte order: 10.71.0.7 is {10, 71, 0, 7}.
using Ipv4 = std::array<std::uint8_t, 4>;

std::string to_string(const Ipv4& address);
// Four decimal numbers without leading zeros; anything else is nullopt.
std::optional<Ipv4> parse_ipv4(std::string_view text);

struct Ipv4Range {
  Ipv4 first{};
  unsigned prefix_length = 0;

  bool operator==(const Ipv4Range&) const = default;
  bool contains(const Ipv4& address) const;
};
std::string to_string(const Ipv4Range& range);

// Never reachable from a sandbox, by any protocol and whatever its policy allows
// (contract-network 2.3). The last two are ours: "this network", and multicast with everything
// above it. 169.254/16 holds the proxy's own address, which is why the rules look at packets before
// their destination is translated.
inline constexpr std::array<Ipv4Range, 8> kAlwaysDenied = {{
    {{10, 0, 0, 0}, 8},
    {{100, 64, 0, 0}, 10},
    {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16},
    {{172, 16, 0, 0}, 12},
    {{192, 168, 0, 0}, 16},
    {{0, 0, 0, 0}, 8},
    {{224, 0, 0, 0}, 3},
}};

bool is_always_denied(const Ipv4& address);

}  // namespace netfilter
