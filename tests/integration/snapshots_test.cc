// Snapshots through the API of the real binary: they outlive it, however it ends, and a full disk.
#include <sys/stat.h>

#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"
#include "tests/integration/small_disk.h"

namespace tests::integration {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string snapshot(const EmulatorProcess& emulator, const std::string& id, const Json& body) {
  HttpAnswer answer = emulator.api("POST", "/sandboxes/" + id + "/snapshots", body);
  EXPECT_EQ(answer.status, 201) << answer.body;
  return answer.json().value("snapshotID", "");
}

std::size_t layers(const fs::path& dir) {
  std::size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator it(dir / "data/snapshots", error), end; !error && it != end; ++it) {
    ++count;
  }
  return count;
}

TEST(Snapshots, OutliveTheEmulatorHoweverItEnds) {
  TempDir dir;
  std::vector<std::string> acknowledged;
  std::string last;
  for (int round = 0; round < 3; ++round) {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    EXPECT_EQ(layers(dir.path()), acknowledged.size()) << "what was not finished is gone";
    for (const std::string& reference : acknowledged) {
      std::string copy = emulator.create({{"templateID", reference}});
      ASSERT_NE(copy, "") << reference;
      EXPECT_EQ(emulator.run(copy, "cat /home/user/round /usr/local/round").out,
                reference + "\n" + reference + "\n");
      EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + copy).status, 204);
    }
    std::string source = last.empty() ? emulator.create() : emulator.create({{"templateID", last}});
    std::string name = "round-" + std::to_string(round) + ":default";
    ASSERT_EQ(
        emulator.run(source, "echo " + name + " | tee /home/user/round > /usr/local/round", "root")
            .exit_code,
        0);
    last = snapshot(emulator, source, {{"name", name}});
    EXPECT_EQ(last, name);
    acknowledged.push_back(last);
    if (round == 1) {
      EXPECT_EQ(emulator.stop(), 0);
      continue;
    }
    // Clones that run, and one snapshot that is being taken.
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + source + "/clone", {{"count", 2}}).status, 201);
    emulator.run(source, "head -c 200M /dev/zero > /home/user/large", "root");
    std::thread asking(
        [&] { emulator.api("POST", "/sandboxes/" + source + "/snapshots", Json::object()); });
    std::this_thread::sleep_for(20ms);
    emulator.kill_hard();
    asking.join();
  }
  EXPECT_EQ(sandlot(dir.path(), {"gc"}).exit_code, 0);
}

TEST(Snapshots, APausedCloneOutlivesItsEmulatorWithWhatItWasMadeOf) {
  TempDir dir;
  std::string clone;
  std::string reference;
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string source = emulator.create();
    ASSERT_EQ(emulator.run(source, "echo source > /home/user/one").exit_code, 0);
    HttpAnswer cloned = emulator.api("POST", "/sandboxes/" + source + "/clone", Json::object());
    ASSERT_EQ(cloned.status, 201) << cloned.body;
    clone = cloned.json()["sandboxes"][0].value("sandboxID", "");
    reference = cloned.json().value("snapshotTemplateId", "");
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + clone + "/pause", {{"memory", false}}).status,
              204);
    // A copy of one that does not run.
    std::string copy = snapshot(emulator, clone, {{"name", "copy"}});
    std::string made = emulator.create({{"templateID", copy}});
    EXPECT_EQ(emulator.run(made, "cat /home/user/one").out, "source\n");
    emulator.kill_hard();
  }
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  EXPECT_EQ(layers(dir.path()), 2U);
  HttpAnswer refused = emulator.api("DELETE", "/templates/" + reference);
  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_EQ(emulator.api("POST", "/sandboxes/" + clone + "/connect", {{"timeout", 60}}).status,
            201);
  HttpAnswer detail = emulator.api("GET", "/sandboxes/" + clone);
  EXPECT_EQ(detail.json().value("templateID", ""), reference);
  std::string again = emulator.create({{"templateID", reference}});
  EXPECT_EQ(emulator.run(again, "cat /home/user/one").out, "source\n");
  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + again).status, 204);
  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + clone).status, 204);
  EXPECT_EQ(emulator.api("DELETE", "/templates/copy").status, 204);
  for (int i = 0; i < 300 && layers(dir.path()) > 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(layers(dir.path()), 0U);
}

TEST(Snapshots, OnAFullDiskAre507AndLeaveTheSandboxAsItWas) {
  TempDir dir;
  SmallDisk disk(dir.path() / "data", "size=120m,mode=0755");
  ASSERT_TRUE(disk.mounted());
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string id = emulator.create();
  ASSERT_EQ(emulator.run(id, "head -c 45M /dev/urandom > /home/user/large").exit_code, 0);
  for (const char* call : {"/snapshots", "/clone", "/fork", "/commit"}) {
    HttpAnswer answer = emulator.api("POST", "/sandboxes/" + id + call, Json::object());
    EXPECT_EQ(answer.status, 507) << call << " " << answer.body;
    EXPECT_EQ(answer.json().value("code", 0), 507);
    EXPECT_EQ(layers(dir.path()), 0U) << call;
  }
  EXPECT_EQ(emulator.api("GET", "/snapshots").json(), Json::array());
  EXPECT_EQ(emulator.api("GET", "/sandboxes/" + id).json().value("state", ""), "running");
  // And it can be made room.
  ASSERT_EQ(emulator.run(id, "rm /home/user/large; echo small > /home/user/small").exit_code, 0);
  std::string reference = snapshot(emulator, id, Json::object());
  std::string copy = emulator.create({{"templateID", reference}});
  EXPECT_EQ(emulator.run(copy, "cat /home/user/small").out, "small\n");
  EXPECT_EQ(layers(dir.path()), 1U);
  EXPECT_EQ(emulator.stop(), 0);
}

}  // namespace
}  // namespace tests::integration
