#include "emulator/decisions/explain.h"

#include <algorithm>
#include <charconv>

#include "netfilter/domain_pattern.h"

namespace emulator::decisions {

namespace {

using base::Errc;
using netfilter::Protocol;

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kTlsPort = 443;

struct Scheme {
  std::string_view name;
  Protocol protocol;
  std::uint16_t port;  // 0: has to be said
};
constexpr Scheme kSchemes[] = {
    {"http", Protocol::kTcp, kHttpPort}, {"ws", Protocol::kTcp, kHttpPort},
    {"https", Protocol::kTcp, kTlsPort}, {"wss", Protocol::kTcp, kTlsPort},
    {"ssh", Protocol::kTcp, 22},         {"tcp", Protocol::kTcp, 0},
    {"udp", Protocol::kUdp, 0},          {"dns", Protocol::kUdp, 53},
    {"icmp", Protocol::kIcmp, 0},        {"ping", Protocol::kIcmp, 0},
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
    const auto* known = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                     [&](const Scheme& one) { return one.name == name; });
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
  question.address = netfilter::parse_ipv4(host);
  if (question.address) return question;
  auto name = netfilter::normalise_name(host);
  if (!name || name->empty()) {
    return base::fail(Errc::kInvalidArgument, "'" + std::string(host) + "' is not a host");
  }
  question.host = *name;
  bool shows = question.protocol == Protocol::kTcp &&
               (question.port == kHttpPort || question.port == kTlsPort);
  if (shows) question.shown_name = *name;
  return question;
}

std::string_view class_of(const netfilter::Destination& destination) {
  if (destination.protocol == Protocol::kUdp) return "udp";
  if (destination.protocol == Protocol::kIcmp) return "icmp";
  if (destination.protocol != Protocol::kTcp) return "other";
  if (destination.port == kHttpPort) return "http";
  return destination.port == kTlsPort ? "tls" : "other";
}

std::string change_for(const netfilter::Policy& policy,
                       const netfilter::Destination& destination,
                       const netfilter::Decision& decision) {
  std::string address = netfilter::to_string(destination.address);
  if (decision.match == netfilter::MatchType::kInternal) {
    return "nothing opens an internal address";
  }
  if (decision.allowed) {
    bool by_default = decision.match == netfilter::MatchType::kNone;
    if (by_default) return "to block it, add to denyOut: \"" + address + "\"";
    std::string change = "to block it, take out " + decision.rule;
    if (decision.rule == "nameserver") change = "to block it, take the domains out of allowOut";
    bool denied =
        std::any_of(policy.denied().begin(), policy.denied().end(),
                    [&](const auto& rule) { return rule.range.contains(destination.address); });
    return denied ? change : change + " and add to denyOut: \"" + address + "\"";
  }
  if (decision.match != netfilter::MatchType::kCidr) {
    return "no list decides this: " + decision.rule;
  }
  if (decision.rule == netfilter::kNotApplied) {
    return "no list decides this: the last change of the policy failed; send it again "
           "(PUT /sandboxes/{id}/network)";
  }
  // A domain is accepted only beside 0.0.0.0/0 in denyOut (NET-36).
  bool by_name = counts_names(destination) && denies_all(policy);
  return "to allow it, add to allowOut: \"" + (by_name ? destination.name : address) + "\"";
}

}  // namespace emulator::decisions
