// One sandbox's policy is nobody else's (contract-network 6.4): opposite policies side by side in
// every order, three hundred of them, changed by several callers at once, and two emulators whose
// sandboxes have the same addresses. The sender is the machine's root in the slot.
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/attack_range.h"

namespace tests::integration {
namespace {

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

Json lists(const Words& allow, const Words& deny) {
  return {{"allowOut", allow}, {"denyOut", deny}};
}

void change(const AttackRange& range, const std::string& sandbox, const Json& policy) {
  HttpAnswer answer = range.emulator().api("PUT", "/sandboxes/" + sandbox + "/network", policy);
  EXPECT_EQ(answer.status, 204) << answer.body;
}

// Whether the echo services there answer, by UDP and by TCP; 'u', 't', both or neither.
std::string reaches(const AttackRange& range, const std::string& sandbox, const std::string& at) {
  std::string how;
  if (range.entered(sandbox, "udp " + at + " 7777").out.starts_with("answer")) how += "u";
  if (range.entered(sandbox, "tcp " + at + " 9000 hello").out == "data 5\n") how += "t";
  return how;
}

TEST(PolicyIsolation, OnesEntriesNeverHideAnothersInAnyOrder) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string other = range.add_open();
  struct Step {
    Json policy;
    const char* nameserver;  // what `other` reaches at 8.8.8.8
    const char* cloudflare;  // and at 1.1.1.1
  };
  // The more specific entry of one hid the 0.0.0.0/0 of the other in a shared set.
  const std::vector<Step> steps = {{lists({}, {"8.8.8.8"}), "", "ut"},
                                   {lists({"8.8.8.8"}, {"0.0.0.0/0"}), "ut", ""},
                                   {lists({}, {"8.8.8.0/24"}), "", "ut"},
                                   {lists({"8.8.8.0/24"}, {"8.8.8.8", "1.1.1.1"}), "ut", ""},
                                   {lists({}, {}), "ut", "ut"},
                                   {lists({}, {"0.0.0.0/0"}), "", ""},
                                   {lists({"0.0.0.0/0"}, {"0.0.0.0/0"}), "ut", "ut"}};
  for (const Step& step : steps) {
    change(range, other, step.policy);
    EXPECT_EQ(reaches(range, other, "8.8.8.8"), step.nameserver) << step.policy.dump();
    EXPECT_EQ(reaches(range, other, "1.1.1.1"), step.cloudflare) << step.policy.dump();
    range.clear();
    EXPECT_EQ(reaches(range, closed, "8.8.8.8"), "") << step.policy.dump();
    EXPECT_EQ(reaches(range, closed, "1.1.1.1"), "") << step.policy.dump();
    EXPECT_TRUE(range.silent()) << step.policy.dump();
  }
  EXPECT_EQ(range.emulator().api("DELETE", "/sandboxes/" + other).status, 204);
  EXPECT_EQ(reaches(range, closed, "8.8.8.8"), "") << "after the other is gone";
  change(range, closed, lists({}, {}));
  EXPECT_EQ(reaches(range, closed, "8.8.8.8"), "ut");
}

double median_ms(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A set shared by interface takes 64 of the same prefix, and a rule for each sandbox in one place
// would make the last create slower than the first.
TEST(PolicyIsolation, ThreeHundredSandboxesKeepTheirOwn) {
  AttackRange range;
  const EmulatorProcess& emulator = range.emulator();
  constexpr int kCount = 300;
  Words many;
  for (int i = 0; i < 100; ++i) many.push_back("198.51." + std::to_string(i) + ".0/24");
  Json only = lists({"1.1.1.1"}, {"0.0.0.0/0"});
  Json all_but = lists({}, {"1.1.1.1"});
  for (const std::string& entry : many) {
    only["allowOut"].push_back(entry);
    all_but["denyOut"].push_back(entry);
  }
  Words ids;
  std::vector<double> took;
  auto rules = [&] { return emulator.state()["counts"].value("rules", 0); };
  for (int i = 0; i < kCount; ++i) {
    auto start = Clock::now();
    ids.push_back(emulator.create({{"network", i % 2 == 0 ? only : all_but}}));
    took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    ASSERT_NE(ids.back(), "") << i;
  }
  double first = median_ms({took.begin() + 5, took.begin() + 45});
  double last = median_ms({took.end() - 40, took.end()});
  RecordProperty("first_ms", std::to_string(first));
  RecordProperty("last_ms", std::to_string(last));
  // The benchmark says how flat; this says that nothing grows with their number.
  EXPECT_LT(last, 3 * first + 5) << first << " ms grew to " << last << " ms";
  int at_full = rules();
  for (int i : {0, 1, 64, 65, 128, 129, 298, 299}) {
    const std::string& id = ids[static_cast<std::size_t>(i)];
    EXPECT_EQ(reaches(range, id, "1.1.1.1"), i % 2 == 0 ? "ut" : "") << i;
    EXPECT_EQ(reaches(range, id, "8.8.8.8"), i % 2 == 0 ? "" : "ut") << i;
  }
  change(range, ids[150], lists({}, {}));
  EXPECT_EQ(reaches(range, ids[150], "8.8.8.8"), "ut");
  EXPECT_EQ(reaches(range, ids[148], "8.8.8.8"), "");
  EXPECT_EQ(reaches(range, ids[151], "1.1.1.1"), "");
  std::vector<std::thread> killers;
  for (std::size_t worker = 0; worker < 4; ++worker) {
    killers.emplace_back([&, worker] {
      for (std::size_t i = worker; i < ids.size(); i += 4)
        EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + ids[i]).status, 204);
    });
  }
  for (std::thread& killer : killers) killer.join();
  EXPECT_EQ(rules(), at_full) << "the rules of the switch do not depend on the sandboxes";
}

TEST(PolicyIsolation, ChangesOfManyAtOnceEndWhereEachWasPut) {
  AttackRange range;
  constexpr std::size_t kCount = 8;
  Words ids;
  for (std::size_t i = 0; i < kCount; ++i) ids.push_back(range.emulator().create());
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < kCount; ++i) {
    callers.emplace_back([&, i] {
      for (std::size_t round = 0; round < 10; ++round) {
        // The last round closes the even ones and opens the odd ones.
        bool close = (i + round) % 2 != 0;
        change(range, ids[i], close ? lists({}, {"0.0.0.0/0"}) : lists({}, {}));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (std::size_t i = 0; i < kCount; ++i)
    EXPECT_EQ(reaches(range, ids[i], "1.1.1.1"), i % 2 == 0 ? "" : "ut") << i;
}

TEST(PolicyIsolation, TwoEmulatorsWithTheSameAddressesHoldTheirOwn) {
  AttackRange first;
  auto second = std::make_unique<AttackRange>();
  std::string closed = first.add_closed();
  std::string open = second->add_open();
  EXPECT_EQ(first.address(closed), second->address(open)) << "the test is about the same address";
  first.clear();
  second->clear();
  EXPECT_EQ(reaches(first, closed, "1.1.1.1"), "");
  EXPECT_EQ(reaches(*second, open, "1.1.1.1"), "ut");
  EXPECT_TRUE(first.silent());
  EXPECT_TRUE(second->arrived("address=1.1.1.1"));
  // Both change at once, to the opposite.
  std::thread beside([&] { change(first, closed, lists({}, {})); });
  change(*second, open, lists({}, {"0.0.0.0/0"}));
  beside.join();
  first.clear();
  second->clear();
  EXPECT_EQ(reaches(*second, open, "1.1.1.1"), "");
  EXPECT_TRUE(second->silent());
  EXPECT_EQ(reaches(first, closed, "1.1.1.1"), "ut");
  EXPECT_TRUE(second->silent());
  change(first, closed, lists({}, {"0.0.0.0/0"}));
  second.reset();
  first.clear();
  EXPECT_EQ(reaches(first, closed, "1.1.1.1"), "") << "after the other emulator has ended";
  EXPECT_TRUE(first.silent());
}

}  // namespace
}  // namespace tests::integration
