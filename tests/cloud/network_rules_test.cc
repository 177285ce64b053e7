// The limits of `network.rules` and their words (contract-network 2.10).
#include "fakeapi/cloud/network_rules.h"

#include <gtest/gtest.h>

namespace tests {
namespace {

using fakeapi::cloud::NetworkRule;
using fakeapi::cloud::NetworkRules;
using fakeapi::cloud::NetworkTransform;
using fakeapi::cloud::PublicUrls;
using fakeapi::cloud::split_rule_host;
using Headers = std::map<std::string, std::string>;

std::vector<NetworkRule> setting(Headers headers) {
  return {NetworkRule{NetworkTransform{std::move(headers)}}};
}

const PublicUrls kUrls{"sandlot.test", {80, 443, 7463}};

// "" when they are valid.
std::string problem(const NetworkRules& rules) {
  auto valid = fakeapi::cloud::validate(rules, kUrls);
  if (valid) return "";
  EXPECT_EQ(valid.error().code(), base::Errc::kInvalidArgument);
  return valid.error().message();
}
std::string host_problem(const std::string& host) {
  return problem({{host, setting({{"A", "b"}})}});
}
std::string header_problem(const std::string& name, const std::string& value) {
  return problem({{"a.com", setting({{name, value}})}});
}

TEST(NetworkRules, WhatTheCloudTakesIsTaken) {
  EXPECT_EQ(problem({}), "");
  EXPECT_EQ(problem({{"a.com", {}}, {"b.com", {NetworkRule{}}}}), "");
  EXPECT_EQ(problem({{"b.com", {NetworkRule{NetworkTransform{}}}}}), "");
  EXPECT_EQ(host_problem("API.Example.com"), "");
  EXPECT_EQ(host_problem("a_b.example.com."), "");
  EXPECT_EQ(host_problem("localhost"), "");
  EXPECT_EQ(header_problem("X-Any!#$%&'*+-.^_`|~", "Bearer \x09 t\xc3\xb6ken ${x}"), "");
  EXPECT_EQ(header_problem("X", ""), "");
  EXPECT_EQ(header_problem(std::string(64, 'n'), std::string(2048, 'v')), "");
}

TEST(NetworkRules, AHostIsADnsName) {
  EXPECT_EQ(host_problem(""), "Rule domain must not be empty.");
  std::string longest = std::string(60, 'a') + "." + std::string(60, 'b') + ".c23456";
  EXPECT_EQ(host_problem(longest), "");
  EXPECT_EQ(host_problem(longest + "8"),
            "Rule domain \"" + longest + "8\" exceeds maximum length of 128 characters.");
  for (const char* host :
       {"*.example.com", "*",        "1.1.1.1",      "::1",    "a..b",           ".a",
        "-a.com",        "a b",      "http://a.com", "a.com/", "a.com:",         "a.com:0",
        "a.com:70000",   "a.com:x",  "a.com:08",     ":80",    "ex\xc3\xa4.com", "a.com:80:80",
        "1.1.1.1:80",    "a.com:80", "a.com:443"}) {
    EXPECT_EQ(host_problem(host),
              "Rule domain \"" + std::string(host) + "\" is not a valid domain name.");
  }
  EXPECT_EQ(host_problem("a\"b\n"), "Rule domain \"a\\\"b\\x0a\" is not a valid domain name.");
  EXPECT_EQ(host_problem(std::string(64, 'a') + ".com").substr(0, 12), "Rule domain ");
}

TEST(NetworkRules, TenHostsOneRuleEachTwentyHeaders) {
  NetworkRules rules;
  for (int i = 0; i < 10; ++i) rules["h" + std::to_string(i) + ".com"] = {};
  EXPECT_EQ(problem(rules), "");
  rules["one.more"] = {};
  EXPECT_EQ(problem(rules), "Network rules can have at most 10 domains.");
  EXPECT_EQ(problem({{"a.com", {NetworkRule{}, NetworkRule{}}}}),
            "Domain \"a.com\" can have at most 1 transform rule.");
  Headers headers;
  for (int i = 0; i < 20; ++i) headers["H" + std::to_string(i)] = "x";
  EXPECT_EQ(problem({{"a.com", setting(headers)}}), "");
  headers["One-More"] = "x";
  EXPECT_EQ(problem({{"a.com", setting(headers)}}),
            "Domain \"a.com\" can have at most 20 headers per rule.");
}

TEST(NetworkRules, HeadersAreHeadersAndTheirValuesAreNotQuoted) {
  EXPECT_EQ(header_problem("", "x"), "Header name in rule for domain \"a.com\" must not be empty.");
  for (const char* name : {"a b", "a:", "\xc3\xa4", "a(b)"}) {
    EXPECT_EQ(header_problem(name, "x"), "Header name \"" + std::string(name) +
                                             "\" in rule for domain \"a.com\" must contain only "
                                             "valid HTTP token characters.");
  }
  std::string name(65, 'n');
  EXPECT_EQ(header_problem(name, "x"),
            "Header name \"" + name +
                "\" in rule for domain \"a.com\" exceeds maximum length of 64 characters.");
  for (const char* value : {"secret\r\nX: y", "secret\n", "secret\x01", "secret\x7f"}) {
    EXPECT_EQ(header_problem("A", value),
              "Value for header \"A\" in rule for domain \"a.com\" contains invalid characters.");
  }
  EXPECT_EQ(header_problem("A", std::string("a\0b", 3)).substr(0, 5), "Value");
  EXPECT_EQ(header_problem("A", std::string(2049, 'v')),
            "Value for header \"A\" in rule for domain \"a.com\" exceeds maximum length of 2048 "
            "characters.");
}

TEST(NetworkRules, APublicUrlMayHaveAPort) {
  for (const char* host : {"8080-iabc.sandlot.test:7463", "8080-iabc.Sandlot.TEST.:7463",
                           "8080-iabc.sandlot.test:443", "49983-i-c.sandlot.test:80"}) {
    EXPECT_EQ(host_problem(host), "");
  }
  for (const char* host :
       {"8080-iabc.sandlot.test:7464", "sandlot.test:7463", "api.sandlot.test:7463",
        "iabc-8080.sandlot.test:7463", "8080.sandlot.test:7463", "-iabc.sandlot.test:7463",
        "8080-iabc.example.com:7463", "8080-iabc.x.sandlot.test:7463",
        "8080-iabc.evilsandlot.test:7463", "8080-i_bc,.sandlot.test:7463"}) {
    EXPECT_EQ(host_problem(host),
              "Rule domain \"" + std::string(host) + "\" is not a valid domain name.");
  }
  EXPECT_EQ(host_problem("8080-iabc.x.sandlot.test"), "") << "without a port it is any name";
}

TEST(NetworkRules, AHostIsSplitAtItsPort) {
  EXPECT_EQ(split_rule_host("a.com")->name, "a.com");
  EXPECT_EQ(split_rule_host("a.com")->port, std::nullopt);
  EXPECT_EQ(split_rule_host("a.com:7463")->name, "a.com");
  EXPECT_EQ(split_rule_host("a.com:7463")->port, 7463);
  EXPECT_FALSE(split_rule_host("a.com:99999"));
}

}  // namespace
}  // namespace tests
