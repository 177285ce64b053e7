// A create that fails at any step answers an error and leaves no trace.
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"
#include "tests/integration/small_disk.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

class FailingCreate : public testing::TestWithParam<const char*> {};

TEST_P(FailingCreate, LeavesNoTrace) {
  TempDir dir;
  // The variable makes the named step of every create fail; see docs (CONTRIBUTING, "making a
  // create fail").
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {{"SANDLOT_TEST_FAIL_STEP", GetParam()}}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  Json before = emulator.state();
  HttpAnswer answer;
  EXPECT_EQ(emulator.create(Json::object(), &answer), "");
  EXPECT_EQ(answer.status, 500) << answer.body;
  EXPECT_EQ(answer.json().value("code", 0), 500);
  EXPECT_NE(answer.json().value("message", ""), "");
  EXPECT_EQ(emulator.api("GET", "/sandboxes").json(), Json::array());
  bool clean = false;
  for (int i = 0; i < 500 && !clean; ++i) {
    clean = emulator.state() == before;
    if (!clean) std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(clean) << before.dump() << "\n" << emulator.state().dump();
  EXPECT_EQ(emulator.stop(), 0);
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(AtEveryStep,
                         FailingCreate,
                         testing::Values("slot", "container", "configure", "register"));

TEST(FailingCreateByTemplate, AMissingRootFileSystemIsNamed) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::error_code ignored;
  std::filesystem::rename(dir.path() / "data/templates", dir.path() / "data/moved", ignored);
  HttpAnswer answer;
  EXPECT_EQ(emulator.create(Json::object(), &answer), "");
  EXPECT_EQ(answer.status, 503) << answer.body;
  EXPECT_NE(answer.body.find("root file system"), std::string::npos) << answer.body;
}

TEST(FailingCreateOnAFullDisk, Is507AndLeavesNoTrace) {
  TempDir dir;
  SmallDisk disk(dir.path() / "data", "size=64m,nr_inodes=20000,mode=0755");
  ASSERT_TRUE(disk.mounted());
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  ASSERT_EQ(emulator.api("DELETE", "/sandboxes/" + emulator.create()).status, 204);
  // Not a byte and not an inode left.
  std::string filler = dir.path() / "data" / "filler";
  std::filesystem::create_directories(filler);
  for (int i = 0; std::ofstream(filler + "/" + std::to_string(i)) << i << std::flush; ++i) {
  }
  HttpAnswer answer;
  EXPECT_EQ(emulator.create(Json::object(), &answer), "");
  EXPECT_EQ(answer.status, 507) << answer.body;
  EXPECT_EQ(answer.json().value("code", 0), 507);
  EXPECT_EQ(emulator.api("GET", "/sandboxes").json(), Json::array());
  std::filesystem::remove_all(filler);
  std::string id = emulator.create(Json::object(), &answer);
  EXPECT_NE(id, "") << answer.body;
  EXPECT_EQ(emulator.run(id, "echo again").out, "again\n");
  EXPECT_EQ(emulator.stop(), 0);
}

TEST(FailingCreateByTemplate, AnUnknownTemplateIs404) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  HttpAnswer answer;
  EXPECT_EQ(emulator.create({{"templateID", "nope"}}, &answer), "");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.json().value("code", 0), 404);
}

}  // namespace
}  // namespace tests::integration
