// Nothing stays behind: after a normal end, and after SIGKILL and a restart.
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

// Whether the common parent cgroup is still there although no instance needs it; other emulators
// may run beside.
bool empty_parent_cgroup_left() {
  std::error_code ignored;
  for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup", ignored)) {
    std::filesystem::path parent = hierarchy.path() / "sandlot";
    bool empty = true;
    for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
      empty = empty && !entry.is_directory(ignored);
    }
    if (empty && std::filesystem::exists(parent, ignored)) return true;
  }
  return false;
}

// The state of an emulator that has just started and holds nothing yet, for comparison.
std::size_t count_of(const Json& state, const char* kind) {
  return state.value("counts", Json::object()).value(kind, std::size_t{0});
}

TEST(Leaks, ANormalEndRemovesEverything) {
  TempDir dir;
  {
    EmulatorProcess emulator(dir.path());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    for (int i = 0; i < 6; ++i) EXPECT_NE(emulator.create(), "");
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  }
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
  EXPECT_FALSE(empty_parent_cgroup_left());
}

TEST(Leaks, KillingTheEmulatorWithFiftySandboxesLeavesNothingAfterARestart) {
  TempDir dir;
  Json fresh;
  std::string paused;
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    fresh = emulator.state();
    for (int i = 0; i < 50; ++i) {
      paused = emulator.create();
      ASSERT_NE(paused, "") << emulator.log();
    }
    // A frozen one cannot end by itself when its parent dies.
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + paused + "/pause").status, 204);
    EXPECT_EQ(count_of(emulator.state(), "sandboxes"), 50U);
    emulator.kill_hard();
  }
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    // The paused one is kept, nothing else (paused_test.cc).
    EXPECT_EQ(count_of(emulator.state(), "sandboxes"), 1U);
    EXPECT_EQ(count_of(emulator.state(), "directories"), 1U);
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + paused).status, 204);
    for (int i = 0; i < 200 && count_of(emulator.state(), "directories") > 0; ++i) {
      std::this_thread::sleep_for(10ms);
    }
    Json state = emulator.state();
    for (const char* kind :
         {"sandboxes", "netns", "links", "mounts", "cgroups", "rules", "directories"}) {
      EXPECT_EQ(count_of(state, kind), count_of(fresh, kind)) << kind;
    }
    EXPECT_EQ(emulator.stop(), 0);
  }
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(Leaks, KilledSandboxesGiveEverythingBackWhileTheEmulatorRuns) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  auto same = [&](const Json& before) {
    // Links die with their namespace, in a kernel worker: wait for them.
    for (int i = 0; i < 500; ++i) {
      if (emulator.state().value("counts", Json()) == before.value("counts", Json())) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  };
  // The first sandbox warms what is made once (ready slots); compare after it is gone.
  ASSERT_EQ(emulator.api("DELETE", "/sandboxes/" + emulator.create()).status, 204);
  std::this_thread::sleep_for(500ms);
  Json before = emulator.state();
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(emulator.create());
  for (const std::string& id : ids)
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + id).status, 204);
  EXPECT_TRUE(same(before)) << before.dump() << "\n" << emulator.state().dump();
}

}  // namespace
}  // namespace tests::integration
