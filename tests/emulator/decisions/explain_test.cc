// Destinations as people write them, and what to change.
#include "emulator/decisions/explain.h"

#include <gtest/gtest.h>

namespace emulator::decisions {
namespace {

using netfilter::Destination;
using netfilter::Ipv4;
using netfilter::Policy;
using netfilter::Protocol;
using netfilter::egress::FlowClass;
using List = std::vector<std::string>;

Question parsed(std::string_view text) {
  auto question = parse_destination(text);
  EXPECT_TRUE(question) << text << ": " << (question ? "" : question.error().message());
  return question.value_or(Question());
}

TEST(Explain, AUrlShowsItsName) {
  Question question = parsed("https://Example.com/path?x=1");
  EXPECT_EQ(question.host, "example.com");
  EXPECT_EQ(question.port, 443);
  EXPECT_EQ(question.shown_name, "example.com");
  EXPECT_EQ(parsed("http://example.com").port, 80);
  EXPECT_EQ(parsed("wss://example.com").port, 443);
}

TEST(Explain, ASchemeIsWhatTheClientSpeaksWhicheverPortItGoesTo) {
  EXPECT_EQ(parsed("https://example.com:80").speaks, FlowClass::kTls);
  EXPECT_EQ(parsed("ws://example.com:443").speaks, FlowClass::kHttp);
  EXPECT_EQ(parsed("https://example.com:8443").shown_name, "example.com")
      << "whether a name counts there is for the proxy to say";
  EXPECT_EQ(parsed("tcp://example.com:80").speaks, FlowClass::kHttp);
  EXPECT_EQ(parsed("example.com:443").speaks, FlowClass::kTls);
  EXPECT_EQ(parsed("ssh://example.com:443").shown_name, "");
  EXPECT_EQ(parsed("udp://example.com:443").shown_name, "");
}

TEST(Explain, ASchemeMayBeInAnyCase) {
  EXPECT_EQ(parsed("HTTPS://Example.com").port, 443);
  EXPECT_EQ(parsed("Udp://8.8.8.8:53").protocol, Protocol::kUdp);
}

TEST(Explain, AnAddressIsNoName) {
  EXPECT_EQ(parsed("https://1.1.1.1").shown_name, "");
  EXPECT_EQ(parsed("https://1.1.1.1").address, (Ipv4{1, 1, 1, 1}));
  EXPECT_EQ(parsed("http://1.1.1.1").shown_name, "");
}

TEST(Explain, OtherProtocolsHaveSchemes) {
  EXPECT_EQ(parsed("udp://8.8.8.8:53").protocol, Protocol::kUdp);
  EXPECT_EQ(parsed("icmp://1.1.1.1").protocol, Protocol::kIcmp);
  EXPECT_EQ(parsed("tcp://github.com:22").port, 22);
  EXPECT_EQ(parsed("github.com:22").protocol, Protocol::kTcp);
}

TEST(Explain, SaysWhatIsWrongWithADestination) {
  for (const char* text : {"", "example.com", "tcp://1.1.1.1", "gopher://x:70", "https://", "x:0",
                           "x:99999", "https://[::1]/", "udp://1.1.1.1"}) {
    EXPECT_FALSE(parse_destination(text)) << text;
  }
}

std::string change(const netfilter::PolicyLists& lists,
                   const Destination& destination,
                   const std::vector<Ipv4>& leads_to = {{93, 184, 216, 34}},
                   bool is_changed = false) {
  auto policy = Policy::compile(lists);
  EXPECT_TRUE(policy);
  Case one{destination, decide(*policy, destination), leads_to, is_changed};
  if (one.decision.allowed && is_changed) {
    Destination there = destination;
    there.address = leads_to.front();
    one.decision = decide(*policy, there);
  }
  return change_for(*policy, one);
}

const Destination kWeb = {{93, 184, 216, 34}, 443, Protocol::kTcp, "example.com"};
const Destination kDatagram = {{93, 184, 216, 34}, 443, Protocol::kUdp};
const Destination kElsewhere = {{9, 9, 9, 9}, 443, Protocol::kTcp, "example.com"};

TEST(Explain, ABlockedNameIsAllowedByNameWhereNamesMayBeNamed) {
  EXPECT_EQ(change({{}, {"0.0.0.0/0"}}, kWeb), "to allow it, add to allowOut: \"example.com\"");
  EXPECT_EQ(change({{}, {"93.184.216.0/24"}}, kWeb),
            "to allow it, add to allowOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{}, {}, false}, kWeb), "to allow it, add to allowOut: \"93.184.216.34\"")
      << "without 0.0.0.0/0 in denyOut a domain is refused";
  EXPECT_EQ(change({{}, {"0.0.0.0/0"}}, kDatagram),
            "to allow it, add to allowOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{}, {"0.0.0.0/0"}}, kElsewhere, {}),
            "to allow it, add to allowOut: \"9.9.9.9\"")
      << "a name that leads nowhere is not dialled";
}

TEST(Explain, WhatIsMeantForANameWantsTheNamesAddressToo) {
  const List denied = {"9.9.9.9", "93.184.216.34"};
  const std::vector<Ipv4> web = {{93, 184, 216, 34}};
  EXPECT_EQ(change({{}, denied}, kElsewhere, web, true),
            "to allow it, add to allowOut: \"9.9.9.9\" and \"93.184.216.34\"");
  EXPECT_EQ(change({{}, {"93.184.216.34"}}, kElsewhere, web, true),
            "to allow it, add to allowOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{}, {"9.9.9.9"}}, kElsewhere, web, true),
            "to allow it, add to allowOut: \"9.9.9.9\"");
  EXPECT_TRUE(change({{}, {"9.9.9.9"}}, kElsewhere, {}, true).starts_with("no list allows it"));
}

// "allowOut[1]=1.1.1.1" says which entry.
List without(const List& allow, const std::string& change) {
  List left;
  for (std::size_t i = 0; i < allow.size(); ++i) {
    std::string entry = "allowOut[" + std::to_string(i) + "]=" + allow[i];
    bool is_domain = allow[i].find_first_not_of("0123456789./") != std::string::npos;
    bool is_named = change.find(entry) != std::string::npos ||
                    (is_domain && change.find("every domain") != std::string::npos);
    if (!is_named) left.push_back(allow[i]);
  }
  return left;
}

TEST(Explain, AnAllowedOneIsBlockedByTakingOutAllThatAllowsIt) {
  const List all = {"0.0.0.0/0"};
  const Destination resolver = {{8, 8, 8, 8}, 443, Protocol::kTcp, "dns.google"};
  const Destination dns = {{8, 8, 8, 8}, 53, Protocol::kUdp};
  const struct {
    List allow, deny;
    Destination destination;
    std::size_t left;
  } cases[] = {
      {{"example.com"}, all, kWeb, 0},
      {{"example.com", "github.com"}, all, kWeb, 1},
      {{"example.com", "93.184.216.34", "1.1.1.1"}, all, kWeb, 1},
      {{"*", "93.184.0.0/16", "example.com", "93.184.216.34"}, all, kWeb, 0},
      {{"example.com", "93.184.216.34"}, all, kDatagram, 1},
      {{"dns.google", "8.8.8.8", "x.test", "1.1.1.1"}, all, resolver, 1},
      {{"example.com", "1.1.1.1", "8.8.8.0/24"}, all, dns, 1},
      {{"93.184.216.34", "93.184.216.0/24"}, {"93.184.216.34"}, kWeb, 0},
  };
  for (const auto& one : cases) {
    std::string said = change({one.allow, one.deny}, one.destination);
    EXPECT_EQ(said.find("denyOut"), std::string::npos) << said;
    List left = without(one.allow, said);
    EXPECT_EQ(left.size(), one.left) << said;
    auto policy = Policy::compile({left, one.deny});
    ASSERT_TRUE(policy) << said;
    EXPECT_FALSE(decide(*policy, one.destination).allowed) << said;
  }
  EXPECT_EQ(change({}, kWeb), "to block it, add to denyOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{"93.184.216.34", "93.184.216.0/24"}, {"1.1.1.1"}}, kWeb),
            "to block it, take out allowOut[0]=93.184.216.34 and "
            "allowOut[1]=93.184.216.0/24, and add to denyOut: \"93.184.216.34\"");
}

TEST(Explain, APolicyThatCouldNotBeAppliedIsNotOpenedByAList) {
  Policy closed = Policy::closed();
  std::string change = change_for(closed, {kWeb, decide(closed, kWeb)});
  EXPECT_EQ(change.find("allowOut"), std::string::npos) << change;
  EXPECT_NE(change.find("send it again"), std::string::npos) << change;
}

TEST(Explain, NothingOpensAnInternalAddress) {
  EXPECT_EQ(change({{"10.0.0.0/8"}, {}}, {{10, 0, 0, 1}, 443}),
            "nothing opens an internal address");
}

}  // namespace
}  // namespace emulator::decisions
