#include "netfilter/switch_rules.h"

#include <string>

#include <gtest/gtest.h>

namespace netfilter {
namespace {

TEST(SwitchRules, SendEachClassOfTcpToItsPort) {
  SwitchPorts ports{1001, 1002, 1003, 1004};
  std::string rules = switch_rules(ports);
  EXPECT_NE(rules.find("-p tcp --dport 80 -j DNAT --to-destination 169.254.1.1:1001\n"),
            std::string::npos);
  EXPECT_NE(rules.find("-p tcp --dport 443 -j DNAT --to-destination 169.254.1.1:1002\n"),
            std::string::npos);
  EXPECT_NE(rules.find("-p tcp -j DNAT --to-destination 169.254.1.1:1003\n"), std::string::npos);
  EXPECT_NE(rules.find("-d 8.8.8.8 -p udp --dport 53 -j DNAT --to-destination 169.254.1.1:1004\n"),
            std::string::npos);
}

TEST(SwitchRules, DropInternalRangesBeforeAnythingPasses) {
  std::string rules = switch_rules({});
  std::size_t first_pass = rules.find("-A SANDLOT -p tcp -j RETURN");
  ASSERT_NE(first_pass, std::string::npos);
  for (const char* range : {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                            "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8", "224.0.0.0/3"}) {
    std::size_t at = rules.find("-A SANDLOT -d " + std::string(range) + " -j DROP\n");
    EXPECT_LT(at, first_pass) << range;
  }
}

TEST(SwitchRules, TakeNoErrorMessageAboutAFlow) {
  std::string rules = switch_rules({}, true);
  std::size_t dropped = rules.find("-A SANDLOT -m conntrack --ctstate RELATED -j DROP\n");
  ASSERT_NE(dropped, std::string::npos);
  EXPECT_LT(dropped, rules.find("-A FORWARD -i s+ -o up0 -j ACCEPT\n"));
}

TEST(SwitchRules, NameNoSingleLink) {
  std::string rules = switch_rules({});
  for (std::size_t at = rules.find(" -i "); at != std::string::npos;
       at = rules.find(" -i ", at + 1)) {
    std::string link = rules.substr(at + 4, rules.find(' ', at + 4) - at - 4);
    EXPECT_TRUE(link == "s+" || link == "lo") << link;
  }
}

TEST(SwitchRules, ForwardNothingWithoutAnUplink) {
  std::string rules = switch_rules({});
  EXPECT_EQ(rules.find("up0"), std::string::npos);
  EXPECT_EQ(rules.find("MASQUERADE"), std::string::npos);
  EXPECT_NE(rules.find("-A SANDLOT -j DROP\nCOMMIT\n"), std::string::npos);
}

TEST(SwitchRules, WithAnUplinkForwardEverythingButTcpToItAloneAndUnderItsAddress) {
  std::string rules = switch_rules({}, true);
  EXPECT_EQ(rules.find("-A SANDLOT -j DROP\n"), std::string::npos);
  EXPECT_NE(rules.find("-A POSTROUTING -o up0 -j MASQUERADE\n"), std::string::npos);
  std::size_t pass = rules.find("-A FORWARD -i s+ -o up0 -j ACCEPT\n");
  ASSERT_NE(pass, std::string::npos);
  // In this order: the first rule that matches decides.
  for (const char* rule : {"-A FORWARD -i s+ -o s+ -j DROP\n", "-A FORWARD -i s+ -p tcp -j DROP\n",
                           "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"}) {
    EXPECT_LT(rules.find(rule), pass) << rule;
  }
}

TEST(SwitchRules, LetNoIpv6Pass) {
  std::string rules = switch_rules_ipv6();
  EXPECT_NE(rules.find(":INPUT DROP"), std::string::npos);
  EXPECT_NE(rules.find(":FORWARD DROP"), std::string::npos);
  EXPECT_NE(rules.find(":OUTPUT DROP"), std::string::npos);
  EXPECT_EQ(rules.find("ACCEPT"), std::string::npos);
}

TEST(SwitchRules, WithoutAForwarderQuestionsAreOrdinaryDatagrams) {
  SwitchPorts ports;
  EXPECT_NE(switch_rules(ports, true).find("--dport 53"), std::string::npos);
  ports.dns = 0;
  EXPECT_EQ(switch_rules(ports, true).find("--dport 53"), std::string::npos);
}

}  // namespace
}  // namespace netfilter
