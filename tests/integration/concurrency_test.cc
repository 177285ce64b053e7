// Twenty creates at once, kills in any order.
#include <algorithm>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

TEST(Concurrency, TwentyCreatesAtOnceAllWorkAndDieInAnyOrder) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::mutex mutex;
  std::vector<std::string> ids;
  std::vector<std::thread> threads;
  threads.reserve(20);
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      HttpAnswer answer =
          emulator.api("POST", "/sandboxes", {{"templateID", "base"}, {"secure", false}});
      std::lock_guard lock(mutex);
      EXPECT_EQ(answer.status, 201) << answer.body;
      ids.push_back(answer.json().value("sandboxID", ""));
    });
  }
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 20U);

  for (const std::string& id : ids) {
    auto ran = emulator.run(id, "hostname && id -un");
    EXPECT_EQ(ran.out, "e2b.local\nuser\n") << id << ran.err;
  }

  std::shuffle(ids.begin(), ids.end(), std::mt19937(std::random_device{}()));
  for (const std::string& id : ids) {
    threads.emplace_back([&emulator, id] {
      EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + id).status, 204);
      EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + id).status, 404);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(emulator.state()["sandboxes"], Json::array());
  EXPECT_EQ(emulator.stop(), 0);
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

}  // namespace
}  // namespace tests::integration
