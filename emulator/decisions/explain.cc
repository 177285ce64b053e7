#include "emulator/decisions/explain.h"

#include <algorithm>
#include <charconv>

#include "fakeapi/http/message.h"
#include "netfilter/domain_pattern.h"

namespace emulator::decisions {

namespace {

using base::Errc;
using netfilter::Protocol;
using netfilter::egress::FlowClass;

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kTlsPort = 443;

struct Scheme {
  std::string_view name;
  Protocol protocol;
  std::uint16_t port;                    // 0: has to be said
  std::optional<FlowClass> speaks = {};  // none: what suits the port
};
constexpr Scheme kSchemes[] = {
    {"http", Protocol::kTcp, kHttpPort, FlowClass::kHttp},
    {"ws", Protocol::kTcp, kHttpPort, FlowClass::kHttp},
    {"https", Protocol::kTcp, kTlsPort, FlowClass::kTls},
    {"wss", Protocol::kTcp, kTlsPort, FlowClass::kTls},
    {"ssh", Protocol::kTcp, 22, FlowClass::kOther},
    {"tcp", Protocol::kTcp, 0},
    {"udp", Protocol::kUdp, 0},
    {"dns", Protocol::kUdp, 53},
    {"icmp", Protocol::kIcmp, 0},
    {"ping", Protocol::kIcmp, 0},
};

base::Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return base::fail(Errc::kInvalidArgument, "'" + std::string(text) + "' is not a port");
  }
  return port;
}

bool counts_names(const netfilter::Destination& destination) {
  return destination.protocol == Protocol::kTcp && !destination.name.empty() &&
         (destination.port == kHttpPort || destination.port == kTlsPort);
}

bool denies(const netfilter::Policy& policy, const netfilter::Ipv4& address) {
  return std::any_of(policy.denied().begin(), policy.denied().end(),
                     [&](const auto& rule) { return rule.range.contains(address); });
}

// "A", "A and B", "A, B and C".
std::string listed(const std::vector<std::string>& texts) {
  std::string line;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) line += i + 1 == texts.size() ? " and " : ", ";
    line += texts[i];
  }
  return line;
}

bool denies_all(const netfilter::Policy& policy) {
  return std::any_of(policy.denied().begin(), policy.denied().end(), [](const auto& rule) {
    return rule.range.prefix_length == 0 && rule.rule.ends_with(netfilter::kAllTraffic);
  });
}

}  // namespace

base::Result<Question> parse_destination(std::string_view text) {
  Scheme scheme{"", Protocol::kTcp, 0};
  if (auto colon = text.find("://"); colon != std::string_view::npos) {
    std::string_view name = text.substr(0, colon);
    const auto* known =
        std::find_if(std::begin(kSchemes), std::end(kSchemes),
                     [&](const Scheme& one) { return fakeapi::http::iequals(one.name, name); });
    if (known == std::end(kSchemes)) {
      return base::fail(Errc::kInvalidArgument,
                        "'" + std::string(name) +
                            "' is not one of: http, https, ws, wss, ssh, tcp, udp, dns, icmp");
    }
    scheme = *known;
    text.remove_prefix(colon + 3);
  }
  text = text.substr(0, text.find_first_of("/?#"));
  if (auto at = text.rfind('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
  if (text.starts_with('[')) {
    return base::fail(Errc::kInvalidArgument, "sandboxes have no IPv6");
  }
  std::string_view host = text.substr(0, text.find(':'));
  Question question;
  question.protocol = scheme.protocol;
  question.port = scheme.port;
  if (host.size() < text.size()) {
    SANDLOT_TRY(question.port, parse_port(text.substr(host.size() + 1)));
  }
  if (question.protocol == Protocol::kIcmp) question.port = 0;
  if (question.protocol != Protocol::kIcmp && question.port == 0) {
    return base::fail(Errc::kInvalidArgument,
                      "which port? Give a URL, HOST:PORT, udp://HOST:PORT or icmp://HOST");
  }
  question.speaks = scheme.speaks.value_or(usual_at(question.port));
  question.address = netfilter::parse_ipv4(host);
  if (question.address) return question;
  auto name = netfilter::normalise_name(host);
  if (!name || name->empty()) {
    return base::fail(Errc::kInvalidArgument, "'" + std::string(host) + "' is not a host");
  }
  question.host = *name;
  bool shows = question.protocol == Protocol::kTcp && question.speaks != FlowClass::kOther;
  if (shows) question.shown_name = *name;
  return question;
}

FlowClass usual_at(std::uint16_t port) {
  return port == kHttpPort ? FlowClass::kHttp : FlowClass::kTls;
}

std::string_view class_of(Protocol protocol, FlowClass kind) {
  if (protocol == Protocol::kUdp) return "udp";
  if (protocol == Protocol::kIcmp) return "icmp";
  if (protocol != Protocol::kTcp) return "other";
  if (kind == FlowClass::kHttp) return "http";
  return kind == FlowClass::kTls ? "tls" : "other";
}

namespace {

// Every entry that allows the destination: without the first the next one would.
std::string change_to_block(const netfilter::Policy& policy, const Case& one) {
  const netfilter::Destination& destination = one.destination;
  std::vector<std::string> entries;
  for (const auto& domain : policy.allowed_domains()) {
    if (counts_names(destination) && domain.pattern.matches(destination.name))
      entries.push_back(domain.rule);
  }
  for (const auto& allowed : policy.allowed()) {
    if (!allowed.range.contains(destination.address)) continue;
    if (allowed.rule == netfilter::kNameserverRule) {
      // It comes with the domains and goes with the last one.
      entries.assign(1, "every domain of allowOut");
      for (const auto& other : policy.allowed()) {
        bool listed_too = other.range.contains(destination.address);
        if (listed_too && other.rule != allowed.rule) entries.push_back(other.rule);
      }
      break;
    }
    entries.push_back(allowed.rule);
  }
  std::string deny = "add to denyOut: \"" + netfilter::to_string(destination.address) + "\"";
  if (entries.empty()) return "to block it, " + deny;
  std::string change = "to block it, take out " + listed(entries);
  return denies(policy, destination.address) ? change : change + ", and " + deny;
}

std::string change_to_allow(const netfilter::Policy& policy, const Case& one) {
  const netfilter::Destination& destination = one.destination;
  bool leads_out = !one.leads_to.empty();
  // A domain is accepted only beside 0.0.0.0/0 in denyOut (NET-36).
  if (counts_names(destination) && denies_all(policy) && leads_out)
    return "to allow it, add to allowOut: \"" + destination.name + "\"";
  if (one.is_changed && !leads_out)
    return "no list allows it: the name has no public address, and header rules or secrets name it";
  std::vector<std::string> entries;
  auto is_denied = [&](const netfilter::Ipv4& address) {
    netfilter::Destination there = destination;
    there.address = address;
    return !netfilter::decide(policy, there).allowed;
  };
  if (is_denied(destination.address))
    entries.push_back("\"" + netfilter::to_string(destination.address) + "\"");
  bool is_other = one.is_changed && one.leads_to.front() != destination.address;
  if (is_other && std::all_of(one.leads_to.begin(), one.leads_to.end(), is_denied))
    entries.push_back("\"" + netfilter::to_string(one.leads_to.front()) + "\"");
  if (entries.empty()) entries.push_back("\"" + netfilter::to_string(destination.address) + "\"");
  return "to allow it, add to allowOut: " + listed(entries);
}

}  // namespace

std::string change_for(const netfilter::Policy& policy, const Case& one) {
  const netfilter::Decision& decision = one.decision;
  if (decision.match == netfilter::MatchType::kInternal) return "nothing opens an internal address";
  if (decision.allowed) return change_to_block(policy, one);
  if (decision.rule == netfilter::kNotApplied) {
    return "no list decides this: the last change of the policy failed; send it again "
           "(PUT /sandboxes/{id}/network)";
  }
  if (decision.match != netfilter::MatchType::kCidr)
    return "no list decides this: " + decision.rule;
  return change_to_allow(policy, one);
}

}  // namespace emulator::decisions
