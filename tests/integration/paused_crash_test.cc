// kill -9 at random moments of random operations: every pause that was answered is there after the
// restart, with its files; nothing else is. SANDLOT_CRASH_ROUNDS=200 for the long run.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

// What the API has answered of one sandbox.
struct Known {
  Json info;
  int writes = 0;          // lines of its file
  bool paused = false;     // acknowledged
  bool in_flight = false;  // a call that was not answered: either outcome is right
};

int rounds() {
  const char* wanted = std::getenv("SANDLOT_CRASH_ROUNDS");
  return wanted == nullptr ? 6 : std::atoi(wanted);
}

class PausedCrash : public testing::Test {
 protected:
  // One operation on one sandbox; false when the emulator did not answer.
  bool step(const EmulatorProcess& emulator) {
    if (known_.size() < 3) return create(emulator);
    auto at = std::next(known_.begin(), static_cast<long>(random_() % known_.size()));
    Known& one = at->second;
    std::string path = "/sandboxes/" + at->first;
    if (one.paused && random_() % 3 != 0) {
      one.in_flight = true;
      int status = emulator.api("POST", path + "/connect", {{"timeout", 300}}).status;
      if (status == 0) return false;
      EXPECT_EQ(status, 201);
      one.in_flight = one.paused = false;
      emulator.adopt(one.info);
      auto ran = emulator.run(at->first, "cat ~/file | wc -l");
      if (!ran.ended) return false;
      EXPECT_EQ(ran.out, std::to_string(one.writes) + "\n");
      return true;
    }
    if (!one.paused && random_() % 4 != 0) {
      if (!emulator.run(at->first, "echo line >> ~/file").ended) return false;
      ++one.writes;
      one.in_flight = true;
      Json how = {{"memory", random_() % 2 == 0}};
      int status = emulator.api("POST", path + "/pause", how).status;
      if (status == 0) return false;
      EXPECT_EQ(status, 204);
      one.in_flight = false;
      one.paused = true;
      return true;
    }
    if (random_() % 3 != 0) return true;
    one.in_flight = true;
    int status = emulator.api("DELETE", path).status;
    if (status == 0) return false;
    EXPECT_EQ(status, 204);
    known_.erase(at);
    return true;
  }
  bool create(const EmulatorProcess& emulator) {
    HttpAnswer answer;
    std::string id = emulator.create(Json::object(), &answer);
    if (id.empty()) return false;
    known_[id].info = answer.json();
    if (!emulator.run(id, "echo line > ~/file").ended) return false;
    known_[id].writes = 1;
    return true;
  }
  void check(const EmulatorProcess& emulator) {
    std::map<std::string, Known> there;
    for (auto& [id, one] : known_) {
      HttpAnswer answer = emulator.api("GET", "/sandboxes/" + id);
      if (!one.in_flight) {
        EXPECT_EQ(answer.status, one.paused ? 200 : 404) << id;
      }
      if (answer.status != 200) continue;
      EXPECT_EQ(answer.json().value("state", ""), "paused");
      one.in_flight = false;
      one.paused = true;
      there.insert({id, one});
    }
    EXPECT_EQ(emulator.state()["sandboxes"].size(), there.size());
    known_ = std::move(there);
  }

  TempDir dir_;
  std::mt19937 random_{std::random_device()()};
  std::map<std::string, Known> known_;
};

TEST_F(PausedCrash, EveryPauseThatWasAnsweredIsThereAfterAnyCrash) {
  for (int round = 0; round < rounds() && !HasFailure(); ++round) {
    EmulatorProcess emulator(dir_.path(), {{"--pool", "1"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    check(emulator);
    auto life = std::chrono::milliseconds(random_() % 250);
    std::thread killer([&] {
      std::this_thread::sleep_for(life);
      ::kill(emulator.pid(), SIGKILL);
    });
    while (step(emulator)) {
    }
    killer.join();
    emulator.kill_hard();
  }
  EmulatorProcess emulator(dir_.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  check(emulator);
  EXPECT_EQ(emulator.api("POST", "/_sandlot/reset").status, 200);
  EXPECT_EQ(emulator.stop(), 0);
  EXPECT_EQ(leftovers(dir_.path()), std::vector<std::string>());
}

}  // namespace
}  // namespace tests::integration
