// What a sandbox may reach: the lists of the API, checked, normalised, and one pure decision about
// a destination (architecture.md, decision 6). The proxy asks decide() per connection, slot_rules.h
// turns the same structure into kernel rules, the decision log and `explain` print what decide()
// names. Says nothing about how a packet is stopped.
//
// Source: contract-network 1.1-1.5, 1.9 (messages and their order), 2.3 and 5.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "netfilter/domain_pattern.h"
#include "netfilter/ipv4.h"

namespace netfilter {

inline constexpr std::string_view kAllTraffic = "0.0.0.0/0";  // NET-16, NET-17
inline constexpr std::size_t kMaxPolicyEntries = 4096;        // both lists together

// The lists as they were sent. They are kept as text by whoever shows them back (NET-32).
struct PolicyLists {
  std::vector<std::string> allow_out;  // addresses, CIDRs, and domains
  std::vector<std::string> deny_out;   // addresses and CIDRs (NET-13, NET-28)
  bool internet_access = true;         // false replaces deny_out by 0.0.0.0/0 (NET-5, NET-9)
};

// The rule of Policy::closed().
inline constexpr const char* kNotApplied = "policy could not be applied";
// The rule that allows 8.8.8.8 because there is a domain.
inline constexpr const char* kNameserverRule = "nameserver";

class Policy {
 public:
  struct AddressRule {
    Ipv4Range range;
    std::string rule;  // what the log calls it: "denyOut[0]=0.0.0.0/0"
  };
  struct DomainRule {
    DomainPattern pattern;
    std::string rule;
  };

  // Nothing is denied but the internal ranges: a sandbox without network settings (NET-1).
  Policy() = default;

  // Checks in the cloud's order (length, denied, allowed, domains) and with its messages; the first
  // error wins. kInvalidArgument. Domains are accepted only beside the literal 0.0.0.0/0 (NET-36),
  // for which `internet_access` does not count (NET-10); with one domain, 8.8.8.8 is allowed as a
  // whole (NET-29, NET-30, NET-31). IPv6 entries are accepted and have no effect.
  static base::Result<Policy> compile(const PolicyLists& lists);
  // Nothing leaves. What a sandbox gets when its policy could not be applied (kNotApplied).
  static Policy closed();

  // In the order of the lists, host bits masked (NET-24).
  const std::vector<DomainRule>& allowed_domains() const { return allowed_domains_; }
  const std::vector<AddressRule>& allowed() const { return allowed_; }
  const std::vector<AddressRule>& denied() const { return denied_; }
  // Entries that can never have an effect: malformed domains, IPv6. For a warning.
  const std::vector<std::string>& ineffective() const { return ineffective_; }

  // False when every public destination is reachable: allow lists alone restrict nothing (NET-18,
  // NET-19).
  bool restricts() const { return !denied_.empty(); }

 private:
  std::vector<DomainRule> allowed_domains_;
  std::vector<AddressRule> allowed_;
  std::vector<AddressRule> denied_;
  std::vector<std::string> ineffective_;
};

enum class Protocol { kTcp, kUdp, kIcmp, kOther };

struct Destination {
  Ipv4 address{};
  std::uint16_t port = 0;  // 0 for protocols without ports
  Protocol protocol = Protocol::kTcp;
  std::string name = {};       // normalised SNI or Host; "" = none
  bool machine_local = false;  // the address is one of the machine's own (contract-network 5.3)
};

enum class MatchType { kDomain, kCidr, kInternal, kNone };
std::string_view to_string(MatchType match);  // as the log writes it

struct Decision {
  bool allowed = false;
  MatchType match = MatchType::kNone;
  // "allowOut[1]=*.github.com"; "internal"; "default"; and for what no list holds "nameserver"
  // (the automatic 8.8.8.8) and "allowInternetAccess=false".
  std::string rule;

  // It was the name that was allowed: the name is dialled as the machine resolves it, never the
  // address that the sandbox chose (contract-network 2.8).
  bool by_name() const { return allowed && match == MatchType::kDomain; }
};

// What decide() looked at, in its order; the last step is the one that decided.
struct TraceStep {
  std::string rule;  // as Decision::rule; "no name: the domains of allowOut do not count"
  bool matched = false;
};
using Trace = std::vector<TraceStep>;

// Internal range, allowed domain, allowed address, denied address, default allow: in that order,
// whatever is more specific (NET-54, NET-55, NET-56). A name counts only on TCP 80 and 443 (NET-40
// to NET-43). With `trace`, says there what it looked at; nothing else differs.
Decision decide(const Policy& policy, const Destination& destination, Trace* trace = nullptr);

// The rule of decide()'s first step for one address, without a policy: what a name may not resolve
// to (contract-network 2.8, rebinding).
bool is_internal(const Ipv4& address, bool machine_local);

}  // namespace netfilter
