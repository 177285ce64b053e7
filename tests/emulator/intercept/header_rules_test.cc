// Which requests get which headers, and what their heads look like then.
#include "emulator/intercept/header_rules.h"

#include <chrono>

#include <gtest/gtest.h>

namespace tests {
namespace {

using emulator::intercept::edited_head;
using emulator::intercept::Edits;
using emulator::intercept::HeaderRules;
using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string edited(const std::string& bytes, Pairs set) {
  emulator::proxy::WireHead head;
  auto parsed = emulator::proxy::parse_request(bytes, head);
  EXPECT_TRUE(parsed);
  return edited_head(bytes, head, Edits{std::move(set), {}, {}});
}

Edits setting(Pairs set) {
  return Edits{std::move(set), {}, {}};
}

TEST(HeaderRules, ANameIsComparedWithoutCaseAndFinalDot) {
  HeaderRules rules;
  EXPECT_TRUE(rules.empty());
  rules.add("API.Example.com.", std::nullopt, setting({{"A", "b"}}));
  EXPECT_TRUE(rules.concern("api.example.com", 443, true));
  EXPECT_TRUE(rules.concern("api.example.com", 80, true));
  EXPECT_FALSE(rules.concern("example.com", 443, true));
  EXPECT_FALSE(rules.concern("x.api.example.com", 443, true));
  EXPECT_TRUE(rules.concern("", 443, true)) << "the name is worth waiting for";
  EXPECT_EQ(rules.of("api.example.com", 443, true).set, (Pairs{{"A", "b"}}));
  EXPECT_TRUE(rules.of("example.com", 443, true).empty());
}

TEST(HeaderRules, AHostWithAPortIsMeantOnThatPortAlone) {
  HeaderRules rules;
  rules.add("8080-x.sandlot.test", 7463, setting({{"A", "b"}}));
  EXPECT_TRUE(rules.concern("8080-x.sandlot.test", 7463, true));
  EXPECT_FALSE(rules.concern("8080-x.sandlot.test", 443, true));
  EXPECT_FALSE(rules.concern("", 443, true));
}

TEST(HeaderRules, WhatFramesAMessageOrSaysWhoseItIsHasNoEffect) {
  HeaderRules rules;
  rules.add(
      "a.com", std::nullopt,
      setting({{"Content-Length", "0"}, {"transfer-encoding", "chunked"}, {"HOST", "evil.com"}}));
  EXPECT_TRUE(rules.empty());
  rules.add("a.com", std::nullopt, setting({{"Connection", "close"}, {"X", "y"}}));
  EXPECT_EQ(rules.of("a.com", 443, true).set, (Pairs{{"X", "y"}}));
}

TEST(HeaderRules, AHeaderIsAddedOrReplacedAndTheRestStaysAsItCame) {
  const std::string kHead =
      "GET /a?b=%20 HTTP/1.1\r\nHost: a.com\r\naUTHORIZATION: mine\r\nX-Forwarded-For: 1.2.3.4\r\n"
      "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAuthorization: again\r\nAccept: */*\r\n\r\n";
  EXPECT_EQ(edited(kHead, {}), kHead);
  EXPECT_EQ(edited(kHead, {{"Authorization", "Bearer t"}, {"X-New", ""}}),
            "GET /a?b=%20 HTTP/1.1\r\nHost: a.com\r\nAuthorization: Bearer t\r\n"
            "X-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
            "Accept: */*\r\nX-New: \r\n\r\n");
}

TEST(HeaderRules, ARequestInAbsoluteFormKeepsIt) {
  EXPECT_EQ(edited("GET http://a.com/x HTTP/1.1\r\nHost: b.com\r\n\r\n", {{"A", "b"}}),
            "GET http://a.com/x HTTP/1.1\r\nHost: a.com\r\nA: b\r\n\r\n");
}

const std::string kOne = "novita_secret_0123456789abcdef0123456789abcdef";
const std::string kTwo = "novita_secret_1123456789abcdef0123456789abcdef";

std::string swapped(const std::string& bytes, Pairs swap, Pairs set = {}) {
  emulator::proxy::WireHead head;
  EXPECT_TRUE(emulator::proxy::parse_request(bytes, head));
  return edited_head(bytes, head, Edits{std::move(set), std::move(swap), {}});
}

TEST(HeaderRules, ASecretGoesToItsHostsOverTlsAlone) {
  HeaderRules rules;
  const std::vector<std::string> kHosts = {"api.example.com", "*.wild.test"};
  rules.add_secret(kHosts, kOne, "value");
  EXPECT_FALSE(rules.empty());
  for (const char* name : {"api.example.com", "a.wild.test", "a.b.wild.test"}) {
    EXPECT_TRUE(rules.concern(name, 443, true)) << name;
    EXPECT_FALSE(rules.concern(name, 80, false)) << name;
    EXPECT_EQ(rules.of(name, 443, true).swap, (Pairs{{kOne, "value"}})) << name;
    EXPECT_TRUE(rules.of(name, 80, false).empty()) << name;
  }
  for (const char* name : {"example.com", "x.api.example.com", "wild.test", "notwild.test"}) {
    EXPECT_FALSE(rules.concern(name, 443, true)) << name;
    EXPECT_TRUE(rules.of(name, 443, true).empty()) << name;
  }
  EXPECT_TRUE(rules.concern("", 443, true));
  EXPECT_FALSE(rules.concern("", 80, false));
}

TEST(HeaderRules, ASecretWithoutHostsGoesNowhere) {
  HeaderRules rules;
  rules.add_secret({}, kOne, "value");
  EXPECT_TRUE(rules.empty());
}

TEST(HeaderRules, RulesAndSecretsOfOneHostBothApply) {
  HeaderRules rules;
  const std::vector<std::string> kHosts = {"a.com"};
  rules.add("a.com", std::nullopt, setting({{"X", "y"}}));
  rules.add_secret(kHosts, kOne, "one");
  rules.add_secret(kHosts, kTwo, "two");
  Edits edits = rules.of("a.com", 443, true);
  EXPECT_EQ(edits.set, (Pairs{{"X", "y"}}));
  EXPECT_EQ(edits.swap, (Pairs{{kOne, "one"}, {kTwo, "two"}}));
  EXPECT_TRUE(rules.of("a.com", 80, false).swap.empty());
}

TEST(HeaderRules, WhatKeepsARequestFromGoingOutIsSaid) {
  HeaderRules rules;
  Edits edits = setting({});
  edits.problem = "no such secret";
  rules.add("a.com", std::nullopt, edits);
  EXPECT_EQ(rules.of("a.com", 443, true).problem, "no such secret");
  EXPECT_TRUE(rules.of("b.com", 443, true).problem.empty());
}

TEST(HeaderRules, PlaceholdersAreSwappedInValuesAndNowhereElse) {
  const std::string kHead = "GET /" + kOne + "?k=" + kOne + " HTTP/1.1\r\nHost: a.com\r\n" + kOne +
                            ": name\r\nAuthorization: Bearer " + kOne + "\r\nX-Both: " + kTwo +
                            kOne + ";" + kOne + "\r\nX-Cut: novita_secret_0123\r\n\r\n";
  EXPECT_EQ(swapped(kHead, {{kOne, "1"}, {kTwo, kOne}}),
            "GET /" + kOne + "?k=" + kOne + " HTTP/1.1\r\nHost: a.com\r\n" + kOne +
                ": name\r\nAuthorization: Bearer 1\r\nX-Both: " + kOne +
                "1;1\r\nX-Cut: novita_secret_0123\r\n\r\n");
  EXPECT_EQ(swapped("GET / HTTP/1.1\r\nHost: a.com\r\nX: mine\r\n\r\n", {{kOne, "1"}},
                    {{"X", "Bearer " + kOne}}),
            "GET / HTTP/1.1\r\nHost: a.com\r\nX: Bearer 1\r\n\r\n");
}

TEST(HeaderRules, ManyPlaceholdersInOneHeadTakeNoLongTime) {
  std::string value;
  for (int n = 0; n < 1300; ++n) value += kOne;
  Pairs swap;
  for (int n = 100; n < 300; ++n) swap.emplace_back("novita_secret_" + std::to_string(n), "x");
  swap.emplace_back(kOne, "1");
  std::string head = "GET / HTTP/1.1\r\nHost: a.com\r\nX: " + value + "\r\n\r\n";
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(swapped(head, swap).size(),
            std::string("GET / HTTP/1.1\r\nHost: a.com\r\nX: \r\n\r\n").size() + 1300);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

}  // namespace
}  // namespace tests
