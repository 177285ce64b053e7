#include "netfilter/policy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace netfilter {

namespace {

using base::Errc;

constexpr Ipv4 kNameserver = {8, 8, 8, 8};
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kTlsPort = 443;
constexpr std::size_t kMappedPrefix = 12;  // bytes of ::ffff:0:0/96

using Ipv6 = std::array<std::uint8_t, 16>;

// What one entry of a list is.
struct Entry {
  enum class Kind {
    kOther,        // no address: a domain in allowOut, an error in denyOut
    kUnspecified,  // 0.0.0.0 and :: with any length: refused
    kIpv4,
    kIpv6,  // valid, without effect
  };
  Kind kind = Kind::kOther;
  Ipv4Range range = {};
};

// A decimal number without sign, at most `maximum`. It may have leading zeros, as in Go's
// net.ParseCIDR; addresses may not.
std::optional<unsigned> parse_length(std::string_view text, unsigned maximum) {
  unsigned bits = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || bits > maximum) return std::nullopt;
  return bits;
}

Ipv4Range masked(Ipv4 address, unsigned length) {
  for (unsigned i = 0; i < address.size(); ++i) {
    unsigned kept = length > 8 * i ? std::min(length - 8 * i, 8U) : 0;
    address[i] = static_cast<std::uint8_t>(address[i] & (0xff00U >> kept));
  }
  return {address, length};
}

bool is_mapped(const Ipv6& address) {
  constexpr std::array<std::uint8_t, kMappedPrefix> kPrefix = {0, 0, 0, 0, 0,    0,
                                                               0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kPrefix.begin(), kPrefix.end(), address.begin());
}

Entry ipv4_entry(const Ipv4& address, unsigned length) {
  if (address == Ipv4{}) return {Entry::Kind::kUnspecified};
  return {Entry::Kind::kIpv4, masked(address, length)};
}

Entry ipv6_entry(const Ipv6& address, unsigned length) {
  if (address == Ipv6{}) return {Entry::Kind::kUnspecified};
  if (!is_mapped(address)) return {Entry::Kind::kIpv6};
  Ipv4 inner{};
  std::copy(address.begin() + kMappedPrefix, address.end(), inner.begin());
  if (inner == Ipv4{}) return {Entry::Kind::kUnspecified};
  // ::ffff:8.8.8.8 is 8.8.8.8. A shorter prefix reaches beyond the mapped addresses: plain IPv6.
  constexpr unsigned kMappedBits = 8 * kMappedPrefix;
  if (length < kMappedBits) return {Entry::Kind::kIpv6};
  return {Entry::Kind::kIpv4, masked(inner, length - kMappedBits)};
}

Entry classify(std::string_view text) {
  if (text == kAllTraffic) return {Entry::Kind::kIpv4, {}};  // the one exception of 1.9
  auto slash = text.find('/');
  bool has_length = slash != std::string_view::npos;
  std::string address(text.substr(0, slash));
  if (address.find('\0') != std::string::npos) return {};
  unsigned length = 0;
  if (auto ipv4 = parse_ipv4(address)) {
    auto parsed = has_length ? parse_length(text.substr(slash + 1), 32) : 32U;
    return parsed ? ipv4_entry(*ipv4, *parsed) : Entry{};
  }
  Ipv6 ipv6{};
  if (::inet_pton(AF_INET6, address.c_str(), ipv6.data()) != 1) return {};
  length = 128;
  if (has_length) {
    auto parsed = parse_length(text.substr(slash + 1), 128);
    if (!parsed) return {};
    length = *parsed;
  }
  return ipv6_entry(ipv6, length);
}

bool is_accepted(const Entry& entry) {
  return entry.kind == Entry::Kind::kIpv4 || entry.kind == Entry::Kind::kIpv6;
}

std::string rule_name(std::string_view list, std::size_t index, const std::string& entry) {
  return std::string(list) + "[" + std::to_string(index) + "]=" + entry;
}

base::Result<std::vector<Entry>> classify_denied(const std::vector<std::string>& list) {
  std::vector<Entry> entries;
  entries.reserve(list.size());
  for (const std::string& text : list) {
    entries.push_back(classify(text));
    if (!is_accepted(entries.back())) {
      return base::fail(Errc::kInvalidArgument, "invalid denied CIDR " + text);
    }
  }
  return entries;
}

base::Result<std::vector<Entry>> classify_allowed(const std::vector<std::string>& list) {
  std::vector<Entry> entries;
  entries.reserve(list.size());
  for (const std::string& text : list) {
    entries.push_back(classify(text));
    if (entries.back().kind == Entry::Kind::kUnspecified) {
      return base::fail(Errc::kInvalidArgument, "invalid allowed address " + text);
    }
  }
  return entries;
}

bool has_domain(const std::vector<Entry>& allowed) {
  return std::any_of(allowed.begin(), allowed.end(),
                     [](const Entry& entry) { return entry.kind == Entry::Kind::kOther; });
}

void note(Trace* trace, const std::string& rule, bool matched) {
  if (trace != nullptr) trace->push_back({rule, matched});
}

// The first rule that holds the address.
const Policy::AddressRule* find(const std::vector<Policy::AddressRule>& rules,
                                const Ipv4& address,
                                Trace* trace) {
  for (const Policy::AddressRule& rule : rules) {
    bool matched = rule.range.contains(address);
    note(trace, rule.rule, matched);
    if (matched) return &rule;
  }
  return nullptr;
}

const Policy::DomainRule* find_domain(const std::vector<Policy::DomainRule>& rules,
                                      const Destination& destination,
                                      Trace* trace) {
  if (rules.empty()) return nullptr;
  bool has_name = destination.protocol == Protocol::kTcp &&
                  (destination.port == kHttpPort || destination.port == kTlsPort);
  if (!has_name || destination.name.empty()) {
    if (trace != nullptr)
      trace->push_back({has_name ? "domains of allowOut: the connection shows no name"
                                 : "domains of allowOut: they count on TCP 80 and 443 only",
                        false});
    return nullptr;
  }
  for (const Policy::DomainRule& domain : rules) {
    bool matched = domain.pattern.matches(destination.name);
    note(trace, domain.rule, matched);
    if (matched) return &domain;
  }
  return nullptr;
}

}  // namespace

base::Result<Policy> Policy::compile(const PolicyLists& lists) {
  if (lists.allow_out.size() + lists.deny_out.size() > kMaxPolicyEntries) {
    return base::fail(Errc::kInvalidArgument, "network lists can have at most " +
                                                  std::to_string(kMaxPolicyEntries) + " entries");
  }
  SANDLOT_TRY(auto denied, classify_denied(lists.deny_out));
  SANDLOT_TRY(auto allowed, classify_allowed(lists.allow_out));
  bool blocks_all =
      std::find(lists.deny_out.begin(), lists.deny_out.end(), kAllTraffic) != lists.deny_out.end();
  if (has_domain(allowed) && !blocks_all) {
    return base::fail(
        Errc::kInvalidArgument,
        "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' "
        "in deny out to block all other traffic.");
  }
  Policy policy;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const std::string& text = lists.allow_out[i];
    std::string rule = rule_name("allowOut", i, text);
    if (allowed[i].kind == Entry::Kind::kIpv4) {
      policy.allowed_.push_back({allowed[i].range, std::move(rule)});
    } else if (allowed[i].kind == Entry::Kind::kIpv6) {
      policy.ineffective_.push_back(std::move(rule));
    } else {
      DomainPattern pattern(text);
      if (!pattern.can_match()) policy.ineffective_.push_back(rule);
      policy.allowed_domains_.push_back({std::move(pattern), std::move(rule)});
    }
  }
  if (has_domain(allowed)) policy.allowed_.push_back({{kNameserver, 32}, kNameserverRule});
  if (!lists.internet_access) {
    policy.denied_.push_back({{}, "allowInternetAccess=false"});
    return policy;
  }
  for (std::size_t i = 0; i < denied.size(); ++i) {
    std::string rule = rule_name("denyOut", i, lists.deny_out[i]);
    if (denied[i].kind == Entry::Kind::kIpv6) {
      policy.ineffective_.push_back(std::move(rule));
    } else {
      policy.denied_.push_back({denied[i].range, std::move(rule)});
    }
  }
  return policy;
}

Policy Policy::closed() {
  Policy policy;
  policy.denied_.push_back({{}, kNotApplied});
  return policy;
}

std::string_view to_string(MatchType match) {
  switch (match) {
    case MatchType::kDomain:
      return "domain";
    case MatchType::kCidr:
      return "cidr";
    case MatchType::kInternal:
      return "internal";
    case MatchType::kNone:
      return "none";
  }
  return "none";
}

bool is_internal(const Ipv4& address, bool machine_local) {
  return machine_local || is_always_denied(address);
}

Decision decide(const Policy& policy, const Destination& destination, Trace* trace) {
  bool internal = is_internal(destination.address, destination.machine_local);
  if (trace != nullptr) trace->push_back({"internal", internal});
  if (internal) return {false, MatchType::kInternal, "internal"};
  if (const auto* domain = find_domain(policy.allowed_domains(), destination, trace)) {
    return {true, MatchType::kDomain, domain->rule};
  }
  if (const auto* allowed = find(policy.allowed(), destination.address, trace)) {
    return {true, MatchType::kCidr, allowed->rule};
  }
  if (const auto* denied = find(policy.denied(), destination.address, trace)) {
    return {false, MatchType::kCidr, denied->rule};
  }
  if (trace != nullptr) trace->push_back({"default", true});
  return {true, MatchType::kNone, "default"};
}

}  // namespace netfilter
