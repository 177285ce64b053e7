// Destinations as people write them, and what to change.
#include "emulator/decisions/explain.h"

#include <gtest/gtest.h>

namespace emulator::decisions {
namespace {

using netfilter::Destination;
using netfilter::Ipv4;
using netfilter::Policy;
using netfilter::Protocol;

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

TEST(Explain, AnotherPortShowsNone) {
  Question question = parsed("https://example.com:8443");
  EXPECT_EQ(question.port, 8443);
  EXPECT_EQ(question.shown_name, "") << "domains count on 80 and 443 only";
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

std::string change(const netfilter::PolicyLists& lists, const Destination& destination) {
  auto policy = Policy::compile(lists);
  EXPECT_TRUE(policy);
  return change_for(*policy, destination, decide(*policy, destination));
}

const Destination kWeb = {{93, 184, 216, 34}, 443, Protocol::kTcp, "example.com"};
const Destination kDatagram = {{93, 184, 216, 34}, 443, Protocol::kUdp};

TEST(Explain, ABlockedNameIsAllowedByNameWhereNamesMayBeNamed) {
  EXPECT_EQ(change({{}, {"0.0.0.0/0"}}, kWeb), "to allow it, add to allowOut: \"example.com\"");
  EXPECT_EQ(change({{}, {"93.184.216.0/24"}}, kWeb),
            "to allow it, add to allowOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{}, {}, false}, kWeb), "to allow it, add to allowOut: \"93.184.216.34\"")
      << "without 0.0.0.0/0 in denyOut a domain is refused";
  EXPECT_EQ(change({{}, {"0.0.0.0/0"}}, kDatagram),
            "to allow it, add to allowOut: \"93.184.216.34\"");
}

TEST(Explain, AnAllowedOneIsBlockedByTakingOutWhatAllowsIt) {
  EXPECT_EQ(change({}, kWeb), "to block it, add to denyOut: \"93.184.216.34\"");
  EXPECT_EQ(change({{"example.com"}, {"0.0.0.0/0"}}, kWeb),
            "to block it, take out allowOut[0]=example.com");
  EXPECT_EQ(change({{"93.184.216.34"}, {}}, kWeb),
            "to block it, take out allowOut[0]=93.184.216.34 and add to denyOut: "
            "\"93.184.216.34\"");
}

TEST(Explain, APolicyThatCouldNotBeAppliedIsNotOpenedByAList) {
  Policy closed = Policy::closed();
  std::string change = change_for(closed, kWeb, decide(closed, kWeb));
  EXPECT_EQ(change.find("allowOut"), std::string::npos) << change;
  EXPECT_NE(change.find("send it again"), std::string::npos) << change;
}

TEST(Explain, NothingOpensAnInternalAddress) {
  EXPECT_EQ(change({{"10.0.0.0/8"}, {}}, {{10, 0, 0, 1}, 443}),
            "nothing opens an internal address");
}

}  // namespace
}  // namespace emulator::decisions
