// The kernel's half of a policy: what it says about UDP, ICMP and every other protocol but TCP, as
// one text for iptables-restore, for the sandbox's own slot. Pure; slot_policy.h loads it. TCP is
// not here: the proxy judges it, so that a blocked connection is accepted first (NET-48).
#pragma once

#include <string>
#include <vector>

#include "netfilter/policy.h"

namespace netfilter {

// False when no packet but TCP can be denied: such a slot needs no rules at all.
bool needs_slot_rules(const Policy& policy);

// What a process sees of a packet that was thrown away on its way out. Silent is the cloud's: the
// packet is lost somewhere outside (contract-network 2.6). DROP would have send() fail with EPERM
// instead; a queue that nobody listens to throws packets away as well, and says nothing. Only
// CAP_NET_ADMIN over the slot, which could remove the rules as well, could listen.
enum class Refusal { kSilent, kError };  // kError: for kernels without NFQUEUE

// False when nothing but TCP to allowed names can pass: everything is denied, no address is
// allowed.
bool may_send_datagrams(const Policy& policy);

// What the rules of a policy say, without the words: two policies with the same ranges have the
// same rules, and none at all when both are empty.
struct SlotRanges {
  std::vector<Ipv4Range> allowed;
  std::vector<Ipv4Range> denied;
  bool operator==(const SlotRanges&) const = default;
};
SlotRanges slot_ranges(const Policy& policy);

// The whole `filter` table, replacing what the slot had (iptables-restore without --noflush). An
// unrestricting policy gives the empty table. No rule uses connection tracking: every packet is
// judged anew, going out by its destination and coming in by its source, so a tightened policy ends
// established flows at once, in both directions (NET-58, contract-network 2.2).
std::string slot_rules(const Policy& policy, Refusal refusal = Refusal::kSilent);

// Without duplicates and without ranges inside others, ascending (NET-21, NET-22, NET-23).
std::vector<Ipv4Range> merged(std::vector<Ipv4Range> ranges);

}  // namespace netfilter
