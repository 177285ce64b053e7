#include "netfilter/slot_rules.h"

#include <algorithm>

namespace netfilter {

namespace {

constexpr const char* kUnheardQueue = "NFQUEUE --queue-num 65535";

std::vector<Ipv4Range> ranges_of(const std::vector<Policy::AddressRule>& rules) {
  std::vector<Ipv4Range> ranges;
  ranges.reserve(rules.size());
  for (const Policy::AddressRule& rule : rules) ranges.push_back(rule.range);
  return merged(std::move(ranges));
}

// One chain: what `side` ("-d" or "-s") of a packet the policy speaks about, allowed first.
void append_chain(std::string& text,
                  const char* name,
                  const char* side,
                  const SlotRanges& ranges,
                  const char* refuse) {
  auto append = [&](const std::vector<Ipv4Range>& list, const char* target) {
    for (const Ipv4Range& range : list) {
      text.append("-A ").append(name);
      if (range.prefix_length > 0) text.append(" ").append(side).append(" ") += to_string(range);
      text.append(" -j ").append(target).append("\n");
    }
  };
  append(ranges.allowed, "ACCEPT");
  append(ranges.denied, refuse);
}

std::uint32_t number(const Ipv4& address) {
  return std::uint32_t{address[0]} << 24U | std::uint32_t{address[1]} << 16U |
         std::uint32_t{address[2]} << 8U | std::uint32_t{address[3]};
}

}  // namespace

bool needs_slot_rules(const Policy& policy) {
  return policy.restricts();
}

bool may_send_datagrams(const Policy& policy) {
  bool all_denied =
      std::any_of(policy.denied().begin(), policy.denied().end(),
                  [](const Policy::AddressRule& rule) { return rule.range.prefix_length == 0; });
  return !all_denied || !policy.allowed().empty();
}

SlotRanges slot_ranges(const Policy& policy) {
  if (!needs_slot_rules(policy)) return {};
  return {ranges_of(policy.allowed()), ranges_of(policy.denied())};
}

std::string slot_rules(const Policy& policy, Refusal refusal) {
  std::string text = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";
  if (!needs_slot_rules(policy)) return text + "COMMIT\n";
  text +=
      ":SANDLOT_IN - [0:0]\n:SANDLOT_OUT - [0:0]\n"
      "-A INPUT -i eth0 ! -p tcp -j SANDLOT_IN\n"
      "-A OUTPUT -o eth0 ! -p tcp -j SANDLOT_OUT\n"
      // A router on the way to an allowed address may report an error.
      "-A SANDLOT_IN -p icmp -j ACCEPT\n";
  const SlotRanges ranges = slot_ranges(policy);
  append_chain(text, "SANDLOT_IN", "-s", ranges, "DROP");
  append_chain(text, "SANDLOT_OUT", "-d", ranges,
               refusal == Refusal::kSilent ? kUnheardQueue : "DROP");
  return text + "COMMIT\n";
}

std::vector<Ipv4Range> merged(std::vector<Ipv4Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Ipv4Range& left, const Ipv4Range& right) {
    if (left.first != right.first) return number(left.first) < number(right.first);
    return left.prefix_length < right.prefix_length;
  });
  // Two CIDRs are either apart or one inside the other, and the outer sorts first.
  std::vector<Ipv4Range> result;
  for (const Ipv4Range& range : ranges) {
    if (result.empty() || !result.back().contains(range.first)) result.push_back(range);
  }
  return result;
}

}  // namespace netfilter
