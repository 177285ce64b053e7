// Paused sandboxes and the end of the emulator: what was acknowledged is there after kill -9, a
// normal end and a full disk; what nobody names is removed.
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "tests/integration/emulator_process.h"
#include "tests/integration/small_disk.h"

namespace tests::integration {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string boot_of(const EmulatorProcess& emulator, const std::string& id) {
  return emulator.run(id, "cat /proc/sys/kernel/random/boot_id").out;
}

int pause(const EmulatorProcess& emulator, const std::string& id, const Json& body = {}) {
  return emulator.api("POST", "/sandboxes/" + id + "/pause", body).status;
}

std::string state_of(const EmulatorProcess& emulator, const std::string& id) {
  return emulator.api("GET", "/sandboxes/" + id).json().value("state", "");
}

// Names below <data>/sandboxes/<any instance>.
std::vector<std::string> directories_of(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& instance : fs::directory_iterator(dir / "data/sandboxes", ignored)) {
    for (const auto& entry : fs::directory_iterator(instance, ignored)) {
      if (entry.is_directory(ignored)) names.push_back(entry.path().filename());
    }
  }
  return names;
}

// One sandbox with everything that must come back, and one that runs.
Json make_paused(const EmulatorProcess& emulator, bool with_memory) {
  HttpAnswer answer;
  Json options = {{"metadata", {{"who", "me"}}},
                  {"envVars", {{"KEPT", "yes"}}},
                  {"secure", true},
                  {"network", {{"denyOut", {"0.0.0.0/0"}}, {"allowPublicTraffic", false}}}};
  std::string id = emulator.create(options, &answer);
  EXPECT_EQ(emulator
                .run(id,
                     "echo mine > ~/file; sudo ln /bin/true /usr/bin/ours; sudo rm /etc/motd; "
                     "sudo chmod u+s /usr/bin/ours; sudo mv /etc/skel /etc/lots; sync")
                .exit_code,
            0);
  EXPECT_EQ(pause(emulator, id, {{"memory", with_memory}}), 204);
  return emulator.api("GET", "/sandboxes/" + id).json();
}

void expect_files(const EmulatorProcess& emulator, const std::string& id) {
  auto ran = emulator.run(id,
                          "cat ~/file; stat -c '%a %U' /usr/bin/ours ~/file; ls -d /etc/lots; "
                          "ls /etc/motd /etc/skel 2>/dev/null; echo $KEPT; "
                          "touch ~/another && sudo touch /usr/one /etc/lots/two && echo writable");
  EXPECT_EQ(ran.out, "mine\n4755 root\n644 user\n/etc/lots\nyes\nwritable\n") << ran.err;
}

class Paused : public testing::TestWithParam<bool> {};

TEST_P(Paused, ComesBackAfterKillMinusNineWithItsFilesAndAllThatWasSaidOfIt) {
  TempDir dir;
  Json before;
  std::string boot;
  std::string running;
  {
    EmulatorProcess emulator(dir.path());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    running = emulator.create();
    before = make_paused(emulator, GetParam());
    emulator.kill_hard();
  }
  std::string id = before.value("sandboxID", "");
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  EXPECT_EQ(emulator.api("GET", "/sandboxes/" + running).status, 404);
  Json after = emulator.api("GET", "/sandboxes/" + id).json();
  before.erase("domain");  // has the port
  after.erase("domain");
  EXPECT_EQ(after, before);
  EXPECT_EQ(after.value("state", ""), "paused");
  HttpAnswer connected = emulator.api("POST", "/sandboxes/" + id + "/connect", {{"timeout", 99}});
  ASSERT_EQ(connected.status, 201) << connected.body << emulator.log();
  EXPECT_EQ(connected.json()["envdAccessToken"], before["envdAccessToken"]);
  EXPECT_NE(connected.json().value("trafficAccessToken", ""), "");
  emulator.adopt(connected.json());
  expect_files(emulator, id);
  EXPECT_NE(boot_of(emulator, id), "");
  // It runs: the next crash ends it.
  emulator.kill_hard();
  EmulatorProcess third(dir.path());
  ASSERT_TRUE(third.ready()) << third.log();
  EXPECT_EQ(third.api("GET", "/sandboxes/" + id).status, 404);
  EXPECT_EQ(third.stop(), 0);
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}
TEST_P(Paused, WhatIsSaidOfAPausedOneIsThereAfterKillMinusNine) {
  TempDir dir;
  Json before;
  std::string id;
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    Json made = make_paused(emulator, GetParam());
    id = made.value("sandboxID", "");
    // Neither while it is paused.
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + id + "/timeout", {{"timeout", 3000}}).status,
              404);
    HttpAnswer refused =
        emulator.api("PUT", "/sandboxes/" + id + "/network", {{"denyOut", {"1.1.1.1"}}});
    EXPECT_EQ(refused.status, 404) << refused.body;
    // What a reset says that leaves it paused.
    Json change = {{"resume", false}, {"network", {{"denyOut", {"9.9.9.9"}}}}};
    HttpAnswer reset = emulator.api("POST", "/sandboxes/" + id + "/reset", change);
    EXPECT_EQ(reset.status, 200) << reset.body;
    before = emulator.api("GET", "/sandboxes/" + id).json();
    EXPECT_EQ(before["network"]["denyOut"], Json({"9.9.9.9"}));
    for (const char* time : {"startedAt", "endAt"}) EXPECT_EQ(before[time], made[time]);
    emulator.kill_hard();
  }
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  Json after = emulator.api("GET", "/sandboxes/" + id).json();
  before.erase("domain");  // has the port
  after.erase("domain");
  EXPECT_EQ(after, before);
}
INSTANTIATE_TEST_SUITE_P(Sandboxes, Paused, testing::Bool(), [](const auto& test) {
  return test.param ? "WithMemory" : "FilesOnly";
});

TEST(PausedEnds, ANormalEndKeepsThemAndAResetKillsThem) {
  TempDir dir;
  Json before;
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    before = make_paused(emulator, true);
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  }
  std::string id = before.value("sandboxID", "");
  EXPECT_EQ(directories_of(dir.path()), std::vector<std::string>{id});
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    EXPECT_EQ(state_of(emulator, id), "paused");
    // Again, untouched; then a reset.
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  }
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  ASSERT_EQ(emulator.api("POST", "/sandboxes/" + id + "/connect", {{"timeout", 99}}).status, 201);
  emulator.adopt(before);
  expect_files(emulator, id);
  EXPECT_EQ(pause(emulator, id), 204);
  EXPECT_EQ(emulator.api("POST", "/_sandlot/reset").status, 200);
  EXPECT_EQ(emulator.api("GET", "/sandboxes/" + id).status, 404);
  EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(PausedEnds, GarbageIsWhatNoRowNames) {
  TempDir dir;
  std::string paused;
  std::string killed;
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    paused = emulator.create();
    emulator.create();
    killed = emulator.create();
    EXPECT_EQ(pause(emulator, paused), 204);
    EXPECT_EQ(pause(emulator, killed, {{"memory", false}}), 204);
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + killed).status, 204);
    emulator.kill_hard();
  }
  EXPECT_EQ(sandlot(dir.path(), {"gc"}).exit_code, 0);
  EXPECT_EQ(directories_of(dir.path()), std::vector<std::string>{paused});
  // `exec` is for one command: it takes over nothing and spoils nothing.
  base::ToolSpec exec;
  exec.argv = {emulator_binary(),
               "exec",
               "--pool",
               "0",
               "--internet",
               "none",
               "--data-dir",
               dir.path() / "data",
               "--run-dir",
               dir.path() / "run",
               "--",
               "true"};
  auto ran = base::run_tool(exec);
  ASSERT_TRUE(ran) << ran.error().message();
  EXPECT_EQ(directories_of(dir.path()), std::vector<std::string>{paused});
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  EXPECT_EQ(state_of(emulator, paused), "paused") << emulator.log();
  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + paused).status, 204);
  EXPECT_EQ(emulator.stop(), 0);
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(PausedEnds, ASecondEmulatorOnTheSameDataTakesNothingFromALiveOne) {
  TempDir dir;
  EmulatorProcess first(dir.path(), {{"--pool", "0"}, {}});
  std::string id = first.create();
  ASSERT_EQ(pause(first, id), 204);
  EmulatorProcess second(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(second.ready()) << second.log();
  EXPECT_EQ(second.api("GET", "/sandboxes/" + id).status, 404);
  EXPECT_EQ(second.stop(), 0);
  EXPECT_EQ(first.api("POST", "/sandboxes/" + id + "/connect", {{"timeout", 99}}).status, 201);
  EXPECT_EQ(first.run(id, "echo fine").out, "fine\n");
}

TEST(PausedEnds, AFullDiskRefusesThePauseAndTheSandboxRunsOn) {
  TempDir dir;
  SmallDisk disk(dir.path() / "data", "size=64m,mode=0755");
  ASSERT_TRUE(disk.mounted());
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string id = emulator.create();
  emulator.run(id, "cat /dev/zero > ~/fill; sync");
  HttpAnswer refused = emulator.api("POST", "/sandboxes/" + id + "/pause");
  EXPECT_EQ(refused.status, 507) << refused.body;
  EXPECT_EQ(emulator.run(id, "rm ~/fill && echo on").out, "on\n");
  EXPECT_EQ(state_of(emulator, id), "running");
  EXPECT_EQ(pause(emulator, id, {{"memory", false}}), 204);
  EXPECT_EQ(emulator.api("POST", "/sandboxes/" + id + "/connect", {{"timeout", 99}}).status, 201);
  EXPECT_EQ(emulator.run(id, "echo again").out, "again\n");
}

TEST(PausedEnds, ANewerDatabaseIsExitCodeFive) {
  TempDir dir;
  { EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}}); }
  base::ToolSpec change;
  change.argv = {"python3", "-c",
                 "import sqlite3, sys\n"
                 "db = sqlite3.connect(sys.argv[1])\n"
                 "db.execute('PRAGMA user_version = 77')",
                 dir.path() / "data/sandlot.db"};
  ASSERT_TRUE(base::run_tool(change));
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  EXPECT_FALSE(emulator.ready());
  EXPECT_NE(emulator.log().find("made by a newer Sandlot"), std::string::npos) << emulator.log();
  EXPECT_EQ(emulator.stop(), 5);
}

}  // namespace
}  // namespace tests::integration
