// What is in force of a sandbox, and until when: with actions that only write down what is done.
#include "emulator/faults/sandbox_faults.h"

#include <gtest/gtest.h>

#include "emulator/base/movable_clock.h"
#include "emulator/faults/rule_json.h"
#include "tests/support/run_task.h"

namespace emulator::faults {
namespace {

using base::Errc;
using namespace std::chrono_literals;
using Type = SandboxFaultType;

class SandboxFaultsTest : public testing::Test {
 protected:
  SandboxFaultsTest() {
    SandboxActions actions;
    actions.life_of = [this](const std::string& id) { return life_of(id); };
    actions.kill_daemon = [this](const std::string& id) { return note("kill " + id); };
    actions.reset_peers = [this](const std::string& id) { return note("reset " + id); };
    actions.kill_largest = [this](std::string id) { return later("oom " + id); };
    actions.freeze = [this](std::string id, bool frozen) {
      if (answer) lives[id].stuck = frozen;
      return later((frozen ? "freeze " : "thaw ") + id);
    };
    actions.disk_full = [this](std::string id, bool full) {
      return later((full ? "fill " : "free ") + id);
    };
    actions.bandwidth = [this](std::string id, std::optional<std::uint64_t> rate) {
      return later((rate ? "pace " + std::to_string(*rate) : "unpace") + " " + id);
    };
    actions.answers_names = [this] { return note("names"); };
    faults.set_actions(std::move(actions));
    lives["one"] = lives["two"] = {};
  }
  ~SandboxFaultsTest() override { tests::run_task(context, faults.stop()); }

  std::optional<SandboxLife> life_of(const std::string& id) {
    auto found = lives.find(id);
    if (found == lives.end()) return std::nullopt;
    return found->second;
  }
  base::Result<> note(std::string what) {
    done.push_back(std::move(what));
    return answer;
  }
  base::Task<> later(std::string what) {
    co_await base::sleep_for(1ms);
    co_return note(std::move(what));
  }
  base::Result<std::optional<StandingFault>> inflict(const std::string& id, std::string_view text) {
    auto fault = parse_sandbox_fault(text);
    EXPECT_TRUE(fault) << text;
    return tests::run_task(context, faults.inflict(id, *fault));
  }
  std::vector<Type> types(std::string_view id = "") {
    std::vector<Type> all;
    for (const StandingFault& fault : faults.list(id)) all.push_back(fault.what.type);
    return all;
  }
  // Lets what has become due happen.
  void spin() {
    context.restart();
    context.run_for(20ms);
  }

  boost::asio::io_context context;
  base::MovableClock clock{context.get_executor()};
  FaultRules rules{1};
  SandboxFaults faults{context.get_executor(), clock, rules};
  std::map<std::string, SandboxLife> lives;
  std::vector<std::string> done;
  base::Result<> answer;  // of every action
};

TEST_F(SandboxFaultsTest, WhatHappensOnceIsNotListed) {
  for (const char* type : {"oom", "kill_daemon", "reset_peer"}) {
    auto made = inflict("one", R"({"type": ")" + std::string(type) + R"("})");
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_FALSE(*made);
  }
  EXPECT_EQ(done, (std::vector<std::string>{"oom one", "kill one", "reset one"}));
  EXPECT_TRUE(faults.list().empty());
}

TEST_F(SandboxFaultsTest, HealingUndoesWhatIsInForceOfThatSandbox) {
  ASSERT_TRUE(inflict("one", R"({"type": "freeze"})"));
  ASSERT_TRUE(inflict("one", R"({"type": "bandwidth", "bytesPerSecond": 5000})"));
  ASSERT_TRUE(inflict("one", R"({"type": "latency", "latencyMs": 5})"));
  ASSERT_TRUE(inflict("two", R"({"type": "disk_full"})"));
  EXPECT_TRUE(rules.armed());
  done.clear();
  auto ended = tests::run_task(context, faults.heal("one"));
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, 3U);
  EXPECT_EQ(done, (std::vector<std::string>{"thaw one", "unpace one"}));
  EXPECT_FALSE(rules.armed());
  EXPECT_EQ(types(), std::vector<Type>{Type::kDiskFull});
  EXPECT_EQ(tests::run_task(context, faults.heal("three")).error().code(), Errc::kNotFound);
  EXPECT_EQ(*tests::run_task(context, faults.heal_all()), 1U);
  EXPECT_EQ(done.back(), "free two");
}

TEST_F(SandboxFaultsTest, EndsByTheClockAndNotBefore) {
  auto made = inflict("one", R"({"type": "disk_full", "durationMs": 3600000})");
  ASSERT_TRUE(made);
  EXPECT_EQ(*(*made)->until, (*made)->until.value());
  ASSERT_TRUE(inflict("one", R"({"type": "latency", "latencyMs": 5, "durationMs": 7200000})"));
  clock.advance(59min);
  spin();
  EXPECT_EQ(types().size(), 2U);
  clock.advance(2min);
  spin();
  EXPECT_EQ(types(), std::vector<Type>{Type::kLatency});
  EXPECT_EQ(done.back(), "free one");
  clock.advance(1h);
  spin();
  EXPECT_TRUE(faults.list().empty());
  EXPECT_FALSE(rules.armed());
}

TEST_F(SandboxFaultsTest, StaysInForceWhenItCannotBeEnded) {
  ASSERT_TRUE(inflict("one", R"({"type": "disk_full", "durationMs": 1000})"));
  answer = base::fail(Errc::kInternal, "no");
  clock.advance(2s);
  spin();
  EXPECT_EQ(types(), std::vector<Type>{Type::kDiskFull});
  EXPECT_FALSE(faults.list()[0].until) << "nobody tries again by himself";
  EXPECT_FALSE(tests::run_task(context, faults.heal("one")));
  answer = {};
  EXPECT_TRUE(tests::run_task(context, faults.heal("one")));
  EXPECT_TRUE(faults.list().empty());
}

TEST_F(SandboxFaultsTest, WhatCannotBeDoneIsNotInForce) {
  answer = base::fail(Errc::kUnimplemented, "this kernel cannot");
  for (const char* text :
       {R"({"type": "freeze"})", R"({"type": "disk_full"})",
        R"({"type": "bandwidth", "bytesPerSecond": 5000})", R"({"type": "dns_nxdomain"})"}) {
    auto made = inflict("one", text);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Errc::kUnimplemented);
  }
  EXPECT_EQ(inflict("three", R"({"type": "latency", "latencyMs": 5})").error().code(),
            Errc::kNotFound);
  EXPECT_TRUE(faults.list().empty());
  EXPECT_FALSE(rules.armed());
}

TEST_F(SandboxFaultsTest, ASecondOneTakesThePlaceOfTheFirst) {
  auto first = inflict("one", R"({"type": "bandwidth", "bytesPerSecond": 5000})");
  ASSERT_TRUE(inflict("one", R"({"type": "bandwidth", "bytesPerSecond": 9000})"));
  auto all = faults.list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].what.bytes_per_second, 9000U);
  EXPECT_FALSE(*tests::run_task(context, faults.remove((*first)->id)));
  EXPECT_TRUE(*tests::run_task(context, faults.remove(all[0].id)));
}

TEST_F(SandboxFaultsTest, GoesWithWhatItWasDoneTo) {
  for (const char* text : {R"({"type": "disk_full"})", R"({"type": "dns_nxdomain"})",
                           R"({"type": "bandwidth", "bytesPerSecond": 5000})",
                           R"({"type": "freeze"})", R"({"type": "latency", "latencyMs": 5})"}) {
    ASSERT_TRUE(inflict("one", text));
  }
  lives["one"].stuck = false;  // it was resumed
  EXPECT_EQ(types().size(), 4U);
  lives["one"].container = 1;  // it started anew
  EXPECT_EQ(types(), (std::vector<Type>{Type::kDnsNxdomain, Type::kLatency}));
  lives.erase("one");
  EXPECT_TRUE(faults.list().empty());
  EXPECT_FALSE(rules.armed());
}

TEST_F(SandboxFaultsTest, HidesTheNamesOfTheListForOneSandboxAsOftenAsSaid) {
  ASSERT_TRUE(
      inflict("one", R"({"type": "dns_nxdomain", "names": ["a.com", "*.b.com"], "times": 2})"));
  EXPECT_FALSE(faults.hides_name("two", "a.com"));
  EXPECT_FALSE(faults.hides_name("one", "b.com"));
  EXPECT_TRUE(faults.hides_name("one", "a.com"));
  EXPECT_TRUE(faults.hides_name("one", "x.b.com"));
  EXPECT_FALSE(faults.hides_name("one", "a.com"));
  EXPECT_EQ(faults.list()[0].hits, 2U);
  ASSERT_TRUE(inflict("one", R"({"type": "dns_nxdomain", "durationMs": 1000})"));
  EXPECT_TRUE(faults.hides_name("one", "anything"));
  clock.advance(1s);
  EXPECT_FALSE(faults.hides_name("one", "anything")) << "its time is up, whoever noticed";
}

TEST_F(SandboxFaultsTest, ChangesComeOneAfterTheOther) {
  auto freeze = *parse_sandbox_fault(R"({"type": "freeze"})");
  int left = 3;
  auto count = [&](const std::exception_ptr&, auto) { --left; };
  boost::asio::co_spawn(context, faults.inflict("one", freeze), count);
  boost::asio::co_spawn(context, faults.heal("one"), count);
  boost::asio::co_spawn(context, faults.inflict("one", freeze), count);
  context.restart();
  while (left > 0) context.run_one();
  EXPECT_EQ(done, (std::vector<std::string>{"freeze one", "thaw one", "freeze one"}));
  EXPECT_EQ(types(), std::vector<Type>{Type::kFreeze});
}

TEST_F(SandboxFaultsTest, AreForgottenTogether) {
  ASSERT_TRUE(inflict("one", R"({"type": "disk_full"})"));
  ASSERT_TRUE(inflict("one", R"({"type": "latency", "latencyMs": 5})"));
  EXPECT_EQ(faults.forget_all(), 2U);
  EXPECT_FALSE(rules.armed());
}

TEST(SandboxFaultBodies, HaveTheKeysOfTheirType) {
  for (const char* text :
       {"", "{}", R"({"type": "rain"})", R"({"type": 5})", R"({"type": "latency"})",
        R"({"type": "freeze", "latencyMs": 5})", R"({"type": "freeze", "times": 1})",
        R"({"type": "oom", "durationMs": 5})", R"({"type": "freeze", "durationMs": 0})",
        R"({"type": "bandwidth"})", R"({"type": "bandwidth", "bytesPerSecond": 1023})",
        R"({"type": "bandwidth", "bytesPerSecond": "9000"})",
        R"({"type": "dns_nxdomain", "names": []})", R"({"type": "dns_nxdomain", "names": "a"})",
        R"({"type": "dns_nxdomain", "names": ["http://a"]})",
        R"({"type": "disk_full", "names": ["a"]})"}) {
    auto fault = parse_sandbox_fault(text);
    ASSERT_FALSE(fault) << text;
    EXPECT_EQ(fault.error().code(), Errc::kInvalidArgument) << text;
  }
  auto latency = parse_sandbox_fault(R"({"type": "latency", "latencyMs": 5, "times": 3})");
  ASSERT_TRUE(latency);
  EXPECT_EQ(latency->times, 3U);
  auto names = parse_sandbox_fault(R"({"type": "dns_nxdomain"})");
  ASSERT_TRUE(names);
  EXPECT_EQ(names->names, std::vector<std::string>{"*"});
}

}  // namespace
}  // namespace emulator::faults
