// Who may come in and what Host is shown, as tables (contract-network 1.8, 3.6).
#include "emulator/proxy/ingress_rules.h"

#include <gtest/gtest.h>

namespace emulator::proxy {
namespace {

TEST(IngressRules, OnlyTheWholeTokenPasses) {
  IngressRules rules{"abcdef", ""};
  EXPECT_EQ(check_token(rules, 3000, "abcdef"), TokenVerdict::kPass);
  EXPECT_EQ(check_token(rules, 3000, ""), TokenVerdict::kMissing);
  for (const char* wrong : {"a", "abcde", "abcdeF", "abcdefg", "ABCDEF", "abcdef "}) {
    EXPECT_EQ(check_token(rules, 3000, wrong), TokenVerdict::kInvalid) << wrong;
  }
}

TEST(IngressRules, TheDaemonsPortNeedsNoTrafficTokenAndEveryOtherPortDoes) {
  IngressRules rules{"abcdef", ""};
  EXPECT_EQ(check_token(rules, kDaemonPort, ""), TokenVerdict::kPass);
  EXPECT_EQ(check_token(rules, kDaemonPort, "wrong"), TokenVerdict::kPass);
  for (std::uint64_t port : {0U, 80U, 49982U, 49984U, 49999U, 70000U}) {
    EXPECT_EQ(check_token(rules, port, ""), TokenVerdict::kMissing) << port;
  }
}

TEST(IngressRules, APublicSandboxAsksNobodyForAToken) {
  EXPECT_EQ(check_token(IngressRules(), 3000, ""), TokenVerdict::kPass);
  EXPECT_EQ(check_token(IngressRules(), 3000, "anything"), TokenVerdict::kPass);
}

TEST(IngressRules, WhoWakesASandboxBringsWhatThePortAsksFor) {
  EXPECT_TRUE(may_resume(IngressRules(), 3000, "", ""));
  EXPECT_TRUE(may_resume(IngressRules(), kDaemonPort, "", ""));
  IngressRules rules{"traffic", "", "daemon"};
  EXPECT_TRUE(may_resume(rules, 3000, "traffic", ""));
  EXPECT_FALSE(may_resume(rules, 3000, "", "daemon"));
  EXPECT_TRUE(may_resume(rules, kDaemonPort, "", "daemon"));
  EXPECT_FALSE(may_resume(rules, kDaemonPort, "traffic", ""));
  EXPECT_FALSE(may_resume(rules, kDaemonPort, "", "daemoN"));
}

TEST(IngressRules, Net67Net68EveryPlaceholderOfAMaskBecomesThePort) {
  auto host = [](const char* mask, std::uint64_t port) {
    return masked_host(IngressRules{"", mask}, port);
  };
  EXPECT_EQ(host("localhost:${PORT}", 8080), "localhost:8080");
  EXPECT_EQ(host("localhost:${PORT}", 3000), "localhost:3000");
  EXPECT_EQ(host("${PORT}-a.${PORT}.b:${PORT}", 7), "7-a.7.b:7");
  EXPECT_EQ(host("a.example.com", 8080), "a.example.com");
  EXPECT_EQ(host("$PORT.${port}.${PORT", 8080), "$PORT.${port}.${PORT");
  EXPECT_EQ(host("", 8080), "");
}

TEST(IngressRules, Net70TheDaemonSeesItsOwnHost) {
  EXPECT_EQ(masked_host(IngressRules{"", "localhost:${PORT}"}, kDaemonPort), "");
}

}  // namespace
}  // namespace emulator::proxy
