#include "netfilter/slot_rules.h"

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace netfilter {
namespace {

using List = std::vector<std::string>;

Policy policy_of(List allow, List deny, bool internet = true) {
  auto policy = Policy::compile({std::move(allow), std::move(deny), internet});
  EXPECT_TRUE(policy);
  return policy ? *policy : Policy::closed();
}

constexpr const char* kHead =
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";

constexpr const char* kHooks =
    ":SANDLOT_IN - [0:0]\n:SANDLOT_OUT - [0:0]\n"
    "-A INPUT -i eth0 ! -p tcp -j SANDLOT_IN\n"
    "-A OUTPUT -o eth0 ! -p tcp -j SANDLOT_OUT\n"
    "-A SANDLOT_IN -p icmp -j ACCEPT\n";

// What the kernel would do with a packet that is not TCP: the text, read as it reads it. `chain` is
// "SANDLOT_OUT -d" or "SANDLOT_IN -s".
bool passes(const std::string& rules, const std::string& chain, const Ipv4& address) {
  std::istringstream lines(rules);
  std::string start = "-A " + chain.substr(0, chain.find(' ')) + " ";
  std::string side = chain.substr(chain.find(' ') + 1) + " ";
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start) || line.find("-p icmp") != std::string::npos) continue;
    bool matches = true;
    if (auto at = line.find(side); at != std::string::npos) {
      std::string range = line.substr(at + 3, line.find(' ', at + 3) - at - 3);
      auto slash = range.find('/');
      matches = Ipv4Range{*parse_ipv4(range.substr(0, slash)),
                          static_cast<unsigned>(std::stoi(range.substr(slash + 1)))}
                    .contains(address);
    }
    if (matches) return line.ends_with("ACCEPT");
  }
  return true;
}

TEST(SlotRules, AnUnrestrictedSandboxNeedsNone) {
  for (const Policy& policy : {Policy(), policy_of({}, {}), policy_of({"8.8.8.8"}, {})}) {
    EXPECT_FALSE(needs_slot_rules(policy));
    EXPECT_EQ(slot_rules(policy), std::string(kHead) + "COMMIT\n");
  }
}

TEST(SlotRules, AreWrittenAllowedFirstThenDenied) {
  Policy policy = policy_of({"8.8.8.0/24", "1.1.1.1", "example.com"}, {"0.0.0.0/0"});
  EXPECT_EQ(slot_rules(policy), std::string(kHead) + kHooks +
                                    "-A SANDLOT_IN -s 1.1.1.1/32 -j ACCEPT\n"
                                    "-A SANDLOT_IN -s 8.8.8.0/24 -j ACCEPT\n"
                                    "-A SANDLOT_IN -j DROP\n"
                                    "-A SANDLOT_OUT -d 1.1.1.1/32 -j ACCEPT\n"
                                    "-A SANDLOT_OUT -d 8.8.8.0/24 -j ACCEPT\n"
                                    "-A SANDLOT_OUT -j NFQUEUE --queue-num 65535\n"
                                    "COMMIT\n");
}

TEST(SlotRules, WithoutAQueueDenyTheSame) {
  Policy policy = policy_of({"1.1.1.1"}, {"0.0.0.0/0"});
  EXPECT_EQ(slot_rules(policy, Refusal::kError), std::string(kHead) + kHooks +
                                                     "-A SANDLOT_IN -s 1.1.1.1/32 -j ACCEPT\n"
                                                     "-A SANDLOT_IN -j DROP\n"
                                                     "-A SANDLOT_OUT -d 1.1.1.1/32 -j ACCEPT\n"
                                                     "-A SANDLOT_OUT -j DROP\n"
                                                     "COMMIT\n");
}

TEST(SlotRules, Net21Net22Net23OverlapsAndDuplicatesAreMerged) {
  std::string rules = slot_rules(policy_of(
      {}, {"1.1.1.1", "1.1.1.0/24", "1.1.1.1", "240.0.0.0/4", "255.255.255.255/32", "1.1.0.0/16"}));
  EXPECT_EQ(rules, std::string(kHead) + kHooks +
                       "-A SANDLOT_IN -s 1.1.0.0/16 -j DROP\n"
                       "-A SANDLOT_IN -s 240.0.0.0/4 -j DROP\n"
                       "-A SANDLOT_OUT -d 1.1.0.0/16 -j NFQUEUE --queue-num 65535\n"
                       "-A SANDLOT_OUT -d 240.0.0.0/4 -j NFQUEUE --queue-num 65535\n"
                       "COMMIT\n");
}

TEST(SlotRules, SayTheSameAsDecideForEveryDestination) {
  const std::vector<Policy> policies = {
      Policy(),
      Policy::closed(),
      policy_of({}, {}, false),
      policy_of({"8.8.8.8"}, {}, false),
      policy_of({}, {"8.8.8.8"}),
      policy_of({"8.8.8.0/24"}, {"8.8.8.8"}),
      policy_of({"example.com"}, {"0.0.0.0/0"}),
      policy_of({"0.0.0.0/0"}, {"0.0.0.0/0"}),
      policy_of({"1.1.1.1", "::ffff:9.9.9.9"}, {"1.1.1.0/24", "8.0.0.0/7", "128.0.0.0/1"}),
  };
  for (const Policy& policy : policies) {
    std::string rules = slot_rules(policy);
    for (const char* text :
         {"8.8.8.8", "8.8.8.9", "8.8.9.1", "9.9.9.9", "1.1.1.1", "1.1.1.2", "1.1.2.1", "128.0.0.1",
          "127.255.255.255", "93.184.216.34", "203.0.113.9", "223.255.255.255"}) {
      Ipv4 address = *parse_ipv4(text);
      if (is_always_denied(address)) continue;  // the switch's part
      for (Protocol protocol : {Protocol::kUdp, Protocol::kIcmp, Protocol::kOther}) {
        EXPECT_EQ(passes(rules, "SANDLOT_OUT -d", address),
                  decide(policy, {address, 7777, protocol}).allowed)
            << text << "\n"
            << rules;
        EXPECT_EQ(passes(rules, "SANDLOT_IN -s", address),
                  decide(policy, {address, 7777, protocol}).allowed)
            << text << "\n"
            << rules;
      }
    }
  }
}

TEST(SlotRules, ToldWhetherAnythingButTcpMayPass) {
  EXPECT_TRUE(may_send_datagrams(Policy()));
  EXPECT_TRUE(may_send_datagrams(policy_of({}, {"1.1.1.1"})));
  EXPECT_TRUE(may_send_datagrams(policy_of({"1.1.1.1"}, {"0.0.0.0/0"})));
  EXPECT_TRUE(may_send_datagrams(policy_of({"example.com"}, {"0.0.0.0/0"}))) << "8.8.8.8";
  EXPECT_FALSE(may_send_datagrams(policy_of({}, {"0.0.0.0/0"})));
  EXPECT_FALSE(may_send_datagrams(policy_of({}, {}, false)));
  EXPECT_FALSE(may_send_datagrams(Policy::closed()));
}

}  // namespace
}  // namespace netfilter
