// Which requests get which headers, and what their heads look like then.
#include "emulator/intercept/header_rules.h"

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
  return edited_head(bytes, head, Edits{std::move(set)});
}

TEST(HeaderRules, ANameIsComparedWithoutCaseAndFinalDot) {
  HeaderRules rules;
  EXPECT_TRUE(rules.empty());
  rules.add("API.Example.com.", std::nullopt, Edits{{{"A", "b"}}});
  EXPECT_TRUE(rules.concern("api.example.com", 443));
  EXPECT_TRUE(rules.concern("api.example.com", 80));
  EXPECT_FALSE(rules.concern("example.com", 443));
  EXPECT_FALSE(rules.concern("x.api.example.com", 443));
  EXPECT_TRUE(rules.concern("", 443)) << "the name is worth waiting for";
  EXPECT_EQ(rules.of("api.example.com", 443).set, (Pairs{{"A", "b"}}));
  EXPECT_TRUE(rules.of("example.com", 443).empty());
}

TEST(HeaderRules, AHostWithAPortIsMeantOnThatPortAlone) {
  HeaderRules rules;
  rules.add("8080-x.sandlot.test", 7463, Edits{{{"A", "b"}}});
  EXPECT_TRUE(rules.concern("8080-x.sandlot.test", 7463));
  EXPECT_FALSE(rules.concern("8080-x.sandlot.test", 443));
  EXPECT_FALSE(rules.concern("", 443));
}

TEST(HeaderRules, WhatFramesAMessageOrSaysWhoseItIsHasNoEffect) {
  HeaderRules rules;
  rules.add(
      "a.com", std::nullopt,
      Edits{{{"Content-Length", "0"}, {"transfer-encoding", "chunked"}, {"HOST", "evil.com"}}});
  EXPECT_TRUE(rules.empty());
  rules.add("a.com", std::nullopt, Edits{{{"Connection", "close"}, {"X", "y"}}});
  EXPECT_EQ(rules.of("a.com", 443).set, (Pairs{{"X", "y"}}));
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

}  // namespace
}  // namespace tests
