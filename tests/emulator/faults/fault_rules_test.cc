// Which requests a fault hits, how often, and what is refused as a rule.
#include "emulator/faults/fault_rules.h"

#include <gtest/gtest.h>

#include "emulator/faults/rule_json.h"

namespace emulator::faults {
namespace {

using Cut = proxy::Fault::Cut;

void add(FaultRules& rules, std::string_view text) {
  auto rule = parse_rule(text);
  ASSERT_TRUE(rule) << rule.error().message();
  ASSERT_TRUE(rules.add(std::move(*rule)));
}
int status(FaultRules& rules,
           std::string_view method,
           std::string_view path,
           std::string_view sandbox = "",
           std::uint64_t port = 0) {
  auto fault = rules.take({method, path, sandbox, port});
  return fault ? fault->status : 0;
}

TEST(FaultRules, HitWhatTheyName) {
  FaultRules rules(1);
  EXPECT_FALSE(rules.armed());
  add(rules, R"({"method": "post", "path": "/sandboxes/*/pause", "status": 500})");
  add(rules, R"({"sandboxID": "i1", "on": "daemon", "status": 502})");
  add(rules, R"({"sandboxID": "i2", "status": 503})");
  EXPECT_TRUE(rules.armed());
  EXPECT_EQ(status(rules, "POST", "/sandboxes/i9/pause"), 500);
  EXPECT_EQ(status(rules, "GET", "/sandboxes/i9/pause"), 0);
  EXPECT_EQ(status(rules, "GET", "/", "i1", 49983), 502);
  EXPECT_EQ(status(rules, "GET", "/", "i1", 3000), 0);
  EXPECT_EQ(status(rules, "GET", "/", "i2", 3000), 503);
  EXPECT_EQ(status(rules, "GET", "/v2/sandboxes/i2"), 503) << "the API's path names it, too";
  EXPECT_EQ(rules.clear(), 3U);
  EXPECT_FALSE(rules.armed());
}

TEST(FaultRules, StopAfterAsManyTimesAsTheySay) {
  FaultRules rules(1);
  add(rules, R"({"times": 2, "cut": true})");
  for (int i = 0; i < 2; ++i) {
    auto fault = rules.take({"GET", "/", "", 0});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->cut, Cut::kRequest);
  }
  EXPECT_FALSE(rules.take({"GET", "/", "", 0}));
  EXPECT_EQ(rules.all()[0].hits, 2U);
}

std::string luck(std::uint64_t seed) {
  FaultRules rules(seed);
  add(rules, R"({"probability": 0.5, "status": 500})");
  add(rules, R"({"path": "/noise", "probability": 0.5, "status": 501})");
  std::string text;
  for (int i = 0; i < 64; ++i) {
    text += status(rules, "GET", "/") == 500 ? 'x' : '.';
    rules.take({"GET", "/other", "", 0});
  }
  return text;
}

TEST(FaultRules, AreTheSameAgainWithTheSameSeed) {
  EXPECT_EQ(luck(5), luck(5));
  EXPECT_NE(luck(5), luck(6));
  std::string text = luck(7);
  auto count = std::count(text.begin(), text.end(), 'x');
  EXPECT_GT(count, 16);
  EXPECT_LT(count, 48);
}

TEST(FaultRules, GoByTheirIds) {
  FaultRules rules(1);
  add(rules, R"({"sandboxID": "i1", "status": 500})");
  EXPECT_EQ(rules.draw_id(), "fault-2") << "of a fault that is no rule";
  add(rules, R"({"status": 501})");
  EXPECT_FALSE(rules.remove("fault-2"));
  EXPECT_TRUE(rules.remove("fault-1"));
  EXPECT_EQ(status(rules, "GET", "/"), 501);
  EXPECT_EQ(rules.hits("fault-3"), 1U);
  EXPECT_TRUE(rules.remove("fault-3"));
  EXPECT_EQ(rules.hits("fault-3"), 0U);
  EXPECT_FALSE(rules.armed());
}

TEST(FaultRules, AreBounded) {
  FaultRules rules(1);
  Rule rule;
  for (std::size_t i = 0; i < FaultRules::kMostRules; ++i) ASSERT_TRUE(rules.add(rule));
  EXPECT_FALSE(rules.add(rule));
}

TEST(FaultRules, RefuseWhatTheyDoNotUnderstand) {
  for (const char* text :
       {"", "[]", "{}", R"({"status": 99})", R"({"status": 600})", R"({"status": "500"})",
        R"({"status": 500, "cut": true})", R"({"body": "x"})", R"({"latencyMs": -1})",
        R"({"latencyMs": 600001})", R"({"status": 500, "probability": 1.5})",
        R"({"status": 500, "times": 0})", R"({"status": 500, "path": "sandboxes"})",
        R"({"status": 500, "on": "moon"})", R"({"status": 500, "cut": "half"})",
        R"({"status": 500, "sandboxId": "i1"})", R"({"cut": false})"}) {
    EXPECT_FALSE(parse_rule(text)) << text;
  }
  auto rule = parse_rule(R"({"status": 429, "body": {"code": 429}})");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->effect.body, R"({"code":429})");
}

TEST(Globs, MatchTheWholePath) {
  EXPECT_TRUE(matches_glob("/a/*/c", "/a/b/x/c"));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("/a*b*c", "/aXbYbZc"));
  EXPECT_FALSE(matches_glob("/a", "/a/b"));
  EXPECT_FALSE(matches_glob("/a/*/c", "/a/c"));
  EXPECT_FALSE(matches_glob("", "x"));
}

}  // namespace
}  // namespace emulator::faults
