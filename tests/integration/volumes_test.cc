// Volumes outlive the emulator, however it ends; their mounts and loop devices do not.
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

namespace fs = std::filesystem;

// Loop devices whose file is below `dir`.
std::vector<std::string> loops_below(const fs::path& dir) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& device : fs::directory_iterator("/sys/block", ignored)) {
    auto backing = base::read_file(device.path() / "loop/backing_file");
    if (backing && backing->starts_with(dir.string())) found.push_back(*backing);
  }
  return found;
}

bool loops_go(const fs::path& dir) {
  for (int i = 0; i < 500 && !loops_below(dir).empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return loops_below(dir).empty();
}

Json mounts(const char* quota, const char* plain) {
  return {{"volumeMounts", Json::array({{{"name", "quota"}, {"path", quota}},
                                        {{"name", "plain"}, {"path", plain}}})}};
}

TEST(Volumes, SurviveAKilledEmulatorWithTheirFilesAndLeaveNoMountAndNoDevice) {
  TempDir dir;
  std::string plain_id;
  std::string paused;
  {
    EmulatorProcess emulator(dir.path());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    auto made = emulator.api("POST", "/volumes", {{"name", "quota"}, {"quotaSizeGiB", 1}});
    ASSERT_EQ(made.status, 201) << made.body;
    plain_id = emulator.api("POST", "/volumes", {{"name", "plain"}}).json().value("volumeID", "");
    std::string running = emulator.create(mounts("/q", "/p"));
    paused = emulator.create(mounts("/q", "/p"));
    ASSERT_TRUE(!running.empty() && !paused.empty()) << emulator.log();
    auto ran = emulator.run(running, "echo one > /q/x && echo two > /p/x && sync /q/x");
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + paused + "/pause").status, 204);
    EXPECT_EQ(loops_below(dir.path()).size(), 1U);
    emulator.kill_hard();
  }
  {
    EmulatorProcess emulator(dir.path());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    // What is left of the first one lets go of the image; then the second can mount it.
    EXPECT_EQ(emulator.api("GET", "/volumes").json().size(), 2U);
    // A paused sandbox keeps its volumes, and has them when it runs again.
    EXPECT_EQ(emulator.api("DELETE", "/volumes/" + plain_id).status, 409);
    auto connected = emulator.api("POST", "/sandboxes/" + paused + "/connect", {{"timeout", 60}});
    EXPECT_EQ(connected.status, 201) << connected.body;
    emulator.adopt(connected.json());
    EXPECT_EQ(emulator.run(paused, "cat /q/x /p/x").out, "one\ntwo\n") << emulator.log();
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + paused).status, 204);
    std::string sandbox = emulator.create(mounts("/q", "/p"));
    EXPECT_EQ(emulator.run(sandbox, "cat /q/x /p/x").out, "one\ntwo\n") << emulator.log();
    EXPECT_EQ(loops_below(dir.path()).size(), 1U);
    EXPECT_EQ(emulator.api("DELETE", "/volumes/" + plain_id).status, 409);
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + sandbox).status, 204);
    EXPECT_EQ(emulator.api("DELETE", "/volumes/" + plain_id).status, 204);
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  }
  EXPECT_TRUE(loops_go(dir.path()));
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
  std::size_t left = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(dir.path() / "data/volumes", ignored)) {
    left += entry.is_directory() ? 1U : 0U;
  }
  EXPECT_EQ(left, 1U) << "the volume that was not destroyed";
}

TEST(Volumes, OneThatWasUnmountedCanBeDeletedAtOnce) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  const std::string mount_points = "/sandboxes/" + emulator.create() + "/volume-mounts";
  for (int i = 0; i < 40; ++i) {
    Json body = {{"name", "v"}};
    if (i % 8 == 0) body["quotaSizeGiB"] = 1;
    auto made = emulator.api("POST", "/volumes", body);
    ASSERT_EQ(made.status, 201) << made.body;
    ASSERT_EQ(emulator.api("POST", mount_points, {{"name", "v"}, {"path", "/mnt/v"}}).status, 200);
    ASSERT_EQ(emulator.api("DELETE", mount_points + "?path=/mnt/v").status, 200);
    auto deleted = emulator.api("DELETE", "/volumes/" + made.json().value("volumeID", ""));
    ASSERT_EQ(deleted.status, 204) << deleted.body << " in round " << i;
  }
}

// The owner of the paused sandboxes has ended; the next one to start would take them over.
TEST(Volumes, OneOfAPausedSandboxCannotBeDestroyedByAnotherEmulator) {
  TempDir dir;
  EmulatorProcess other(dir.path());
  ASSERT_TRUE(other.ready()) << other.log();
  std::vector<std::string> volumes;
  std::vector<std::string> sandboxes;
  {
    EmulatorProcess owner(dir.path());
    ASSERT_TRUE(owner.ready()) << owner.log();
    for (Json body : {Json{{"name", "quota"}, {"quotaSizeGiB", 1}}, Json{{"name", "plain"}}}) {
      volumes.push_back(owner.api("POST", "/volumes", body).json().value("volumeID", ""));
    }
    for (bool memory : {true, false}) {
      sandboxes.push_back(owner.create(mounts("/q", "/p")));
      const std::string& id = sandboxes.back();
      EXPECT_EQ(owner.run(id, "echo one > /q/x && echo two > /p/x && sync /q/x").exit_code, 0);
      EXPECT_EQ(owner.api("POST", "/sandboxes/" + id + "/pause", {{"memory", memory}}).status, 204);
    }
    EXPECT_EQ(owner.stop(), 0) << owner.log();
  }
  for (const std::string& id : volumes) {
    auto refused = other.api("DELETE", "/volumes/" + id);
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_NE(refused.body.find("mounted in a paused sandbox"), std::string::npos) << refused.body;
  }
  EmulatorProcess heir(dir.path());
  ASSERT_TRUE(heir.ready()) << heir.log();
  for (const std::string& id : sandboxes) {
    auto connected = heir.api("POST", "/sandboxes/" + id + "/connect", {{"timeout", 60}});
    ASSERT_EQ(connected.status, 201) << connected.body << heir.log();
    heir.adopt(connected.json());
    EXPECT_EQ(heir.run(id, "cat /q/x /p/x").out, "one\ntwo\n") << heir.log();
    EXPECT_EQ(heir.api("DELETE", "/sandboxes/" + id).status, 204);
  }
  EXPECT_EQ(heir.stop(), 0) << heir.log();
  for (const std::string& id : volumes) {
    EXPECT_EQ(other.api("DELETE", "/volumes/" + id).status, 204);
  }
}

// Without CAP_SYS_RESOURCE nothing grows that is mounted.
TEST(Volumes, AQuotaThatCannotGrowNowIsRefusedSoonAndTheVolumeStaysEverywhere) {
  TempDir dir;
  EmulatorProcess emulator(
      dir.path(),
      {{}, {}, {"setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  auto made = emulator.api("POST", "/volumes", {{"name", "v"}, {"quotaSizeGiB", 1}});
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string volume = "/volumes/" + made.json().value("volumeID", "");
  Json twice = {{"volumeMounts", Json::array({{{"name", "v"}, {"path", "/mnt/a"}},
                                              {{"name", "v"}, {"path", "/mnt/b"}}})}};
  const std::string one = emulator.create(twice);
  const std::string two = emulator.create(twice);
  ASSERT_EQ(emulator.run(one, "echo kept > /mnt/a/file").exit_code, 0);
  // Who has it: a copy of the mount in a namespace of its own, an open file, and one that was kept
  // over a forced unmount.
  const std::string forced = "/sandboxes/" + one + "/volume-mounts?force=true&path=/mnt/b";
  struct User {
    const char* command;
    bool unmounts;
  };
  for (const User& user :
       {User{"unshare -Urm sleep 1000", false}, User{"sleep 1000 < /mnt/b/file", false},
        User{"sleep 1000 < /mnt/b/file", true}}) {
    std::string start = std::string("setsid ") + user.command + " > /dev/null 2>&1 & sleep 0.3";
    ASSERT_EQ(emulator.run(one, start).exit_code, 0);
    if (user.unmounts) {
      ASSERT_EQ(emulator.api("DELETE", forced).status, 200);
    }
    for (int round = 0; round < 2; ++round) {
      auto begin = std::chrono::steady_clock::now();
      auto refused = emulator.api("PATCH", volume, {{"quotaSizeGiB", 2}});
      EXPECT_EQ(refused.status, 409) << refused.body;
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
      EXPECT_EQ(emulator.api("GET", volume).json().value("quotaSizeGiB", 0), 1);
      std::string places = user.unmounts ? "/mnt/a/file" : "/mnt/a/file /mnt/b/file";
      std::string expected = user.unmounts ? "kept\n" : "kept\nkept\n";
      EXPECT_EQ(emulator.run(one, "cat " + places).out, expected) << emulator.log();
      EXPECT_EQ(emulator.run(two, "cat /mnt/a/file /mnt/b/file").out, "kept\nkept\n");
    }
    ASSERT_EQ(emulator.run(one, "pkill sleep; sleep 0.2").exit_code, 0);
  }
  auto grown = emulator.api("PATCH", volume, {{"quotaSizeGiB", 2}});
  EXPECT_EQ(grown.status, 200) << grown.body;
  for (const std::string& id : {one, two}) {
    auto ran =
        emulator.run(id, "cat /mnt/a/file; df -BG --output=size /mnt/a | tail -1 | tr -d ' '");
    EXPECT_EQ(ran.out, "kept\n2G\n") << emulator.log();
  }
}

TEST(Volumes, WithoutLoopDevicesAQuotaIsRefusedWithAReasonAndNothingStays) {
  TempDir dir;
  // As in a container that has none.
  const char* hide = "mount --bind /dev/null /dev/loop-control && exec \"$@\"";
  EmulatorProcess emulator(dir.path(), {{}, {}, {"unshare", "-m", "sh", "-c", hide, "sh"}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  auto refused = emulator.api("POST", "/volumes", {{"name", "v"}, {"quotaSizeGiB", 1}});
  EXPECT_EQ(refused.status, 501) << refused.body;
  EXPECT_NE(refused.body.find("loop device"), std::string::npos) << refused.body;
  EXPECT_EQ(emulator.api("GET", "/volumes").json(), Json::array());
  EXPECT_EQ(emulator.api("POST", "/volumes", {{"name", "v"}}).status, 201);
}

}  // namespace
}  // namespace tests::integration
