#include "netfilter/domain_pattern.h"

#include <string>

#include <gtest/gtest.h>

namespace netfilter {
namespace {

struct MatchRow {
  const char* pattern;
  const char* name;
  bool matches;
};

bool matches(std::string_view pattern, std::string_view text) {
  auto name = normalise_name(text);
  return name && DomainPattern(pattern).matches(*name);
}

void expect_rows(std::initializer_list<MatchRow> rows) {
  for (const MatchRow& row : rows) {
    EXPECT_EQ(matches(row.pattern, row.name), row.matches) << row.pattern << " ~ " << row.name;
  }
}

TEST(DomainPattern, Net33AWildcardCoversEveryDepthBelow) {
  expect_rows({{"*.mydomain.com", "a.mydomain.com", true},
               {"*.mydomain.com", "a.b.c.mydomain.com", true},
               {"*.com", "mydomain.com", true}});
}

TEST(DomainPattern, Net34AWildcardCoversNeitherTheApexNorLookalikes) {
  expect_rows({{"*.mydomain.com", "mydomain.com", false},
               {"*.mydomain.com", "notmydomain.com", false},
               {"*.mydomain.com", "mydomain.com.evil.org", false},
               {"*.mydomain.com", ".mydomain.com", false},
               {"*.mydomain.com", "a..mydomain.com", false}});
}

TEST(DomainPattern, Net35AnExactNameCoversOnlyItself) {
  expect_rows({{"google.com", "google.com", true},
               {"google.com", "www.google.com", false},
               {"google.com", "oogle.com", false},
               {"google.com", "google.com.evil.org", false}});
}

TEST(DomainPattern, Net37CaseDoesNotMatterOnEitherSide) {
  expect_rows({{"Google.COM", "google.com", true},
               {"google.com", "GOOGLE.com", true},
               {"*.GitHub.com", "API.github.COM", true}});
}

TEST(DomainPattern, Net39ABareStarCoversWhateverHasAName) {
  expect_rows({{"*", "google.com", true},
               {"*", "localhost", true},
               {"*", "1.1.1.1", false},
               {"*", "", false}});
  EXPECT_FALSE(DomainPattern("*").matches(""));
}

TEST(DomainPattern, Net45OneTrailingDotIsStrippedOnBothSides) {
  expect_rows({{"example.com", "example.com.", true},
               {"example.com.", "example.com", true},
               {"*.example.com.", "a.example.com", true},
               {"example.com", "example.com..", false}});
}

TEST(DomainPattern, Net46APortInTheNameIsStripped) {
  expect_rows({{"example.com", "example.com:80", true},
               {"example.com", "example.com:", true},
               {"example.com", "example.com:80:80", false},
               {"example.com", "example.com:x", false}});
}

TEST(DomainPattern, WhatIsNoPatternNeverMatchesAnything) {
  for (const char* pattern :
       {"", ".", "..", "*.", "**", "*.*.com", "x*.com", "*x.com", "a.*.com", "exa mple",
        "http://x.com", "x.com:443", "1.2.3.4:80", "ex\xc3\xa4mple.com", ".x.com", "*..com"}) {
    DomainPattern parsed(pattern);
    EXPECT_FALSE(parsed.can_match()) << pattern;
    for (const char* name : {"x.com", "a.x.com", "com", "a.b.com", "example.com", "*", ""}) {
      EXPECT_FALSE(parsed.matches(name)) << pattern << " ~ " << name;
    }
  }
  EXPECT_TRUE(DomainPattern("*").can_match());
  EXPECT_TRUE(DomainPattern("*.x.com").can_match());
  EXPECT_TRUE(DomainPattern("my_host-1.x.com").can_match());
}

TEST(NormaliseName, Net44AnAddressIsNoName) {
  for (const char* text : {"1.1.1.1", "1.1.1.1:80", "[::1]", "::1", "2001:db8::1", "1", "127.1",
                           "0x7f.1", "0x7f000001", "1.1.1.1."}) {
    EXPECT_FALSE(normalise_name(text)) << text;
  }
}

TEST(NormaliseName, RefusesWhatNoResolverShouldSee) {
  std::string zero("example.com\0.evil.org", 21);
  EXPECT_FALSE(normalise_name(zero));
  EXPECT_FALSE(normalise_name(std::string(64, 'a') + ".com"));
  EXPECT_TRUE(normalise_name(std::string(63, 'a') + ".com"));
  std::string longest;
  while (longest.size() < 254) longest += "a.";
  EXPECT_FALSE(normalise_name(longest + "com"));
  for (const char* text : {"", " example.com", "example.com ", "a/b", "a@b.com", "a\tb", "a..b"}) {
    EXPECT_FALSE(normalise_name(text)) << text;
  }
}

}  // namespace
}  // namespace netfilter
