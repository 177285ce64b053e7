// What can go wrong at the start is said clearly, and nothing half-made stays.
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

TEST(Start, ABusyPortIsExitStatusThree) {
  TempDir dir;
  TempDir second_dir;
  EmulatorProcess first(dir.path());
  ASSERT_TRUE(first.ready()) << first.log();
  EmulatorProcess second(second_dir.path(), {{"--port", std::to_string(first.port())}, {}});
  EXPECT_FALSE(second.ready());
  EXPECT_EQ(second.stop(), 3) << second.log();
  EXPECT_NE(second.log().find(std::to_string(first.port())), std::string::npos) << second.log();
  EXPECT_EQ(leftovers(second_dir.path()), std::vector<std::string>());
}

TEST(Start, WithoutPrivilegeItSaysSoAndLeavesNothing) {
  TempDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms::all);
  EmulatorProcess emulator(
      dir.path(), {{}, {}, {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}});
  EXPECT_FALSE(emulator.ready());
  EXPECT_EQ(emulator.stop(), 4) << emulator.log();
  EXPECT_NE(emulator.log().find("needs root"), std::string::npos) << emulator.log();
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(Start, WithoutTheKernelsHelpItNamesTheStepAndLeavesNothing) {
  TempDir dir;
  // Root in name only: every privileged step of the start is refused by the kernel.
  EmulatorProcess emulator(dir.path(), {{}, {}, {"unshare", "--user", "--map-root-user"}});
  EXPECT_FALSE(emulator.ready());
  EXPECT_EQ(emulator.stop(), 4) << emulator.log();
  EXPECT_NE(emulator.log().find("serve.failed"), std::string::npos) << emulator.log();
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(Start, TwoEmulatorsLiveSideBySide) {
  TempDir first_dir;
  TempDir second_dir;
  EmulatorProcess first(first_dir.path());
  EmulatorProcess second(second_dir.path());
  ASSERT_TRUE(first.ready() && second.ready());
  std::string a = first.create();
  std::string b = second.create();
  EXPECT_EQ(first.run(a, "echo a").out, "a\n");
  EXPECT_EQ(second.run(b, "echo b").out, "b\n");
  EXPECT_EQ(first.api("GET", "/sandboxes/" + b).status, 404);
  EXPECT_EQ(second.stop(), 0);
  EXPECT_EQ(first.run(a, "echo still").out, "still\n");
}

TEST(Start, TheControlApiRefusesForeignHostsAndOrigins) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  EXPECT_EQ(request(emulator.port(), "GET", "/_sandlot/readyz").status, 200);
  EXPECT_EQ(request(emulator.port(), "POST", "/_sandlot/reset", "", "evil.example").status, 400);
  EXPECT_EQ(request(emulator.port(), "POST", "/_sandlot/reset", "", "localhost",
                    {{"Origin", "http://evil.example"}})
                .status,
            403);
  EXPECT_EQ(request(emulator.port(), "POST", "/_sandlot/reset", "", "localhost",
                    {{"Sec-Fetch-Site", "cross-site"}})
                .status,
            403);
  EXPECT_NE(emulator.create(), "");
  EXPECT_EQ(request(emulator.port(), "POST", "/_sandlot/reset").status, 200);
  EXPECT_EQ(emulator.state()["sandboxes"], Json::array());
}

}  // namespace
}  // namespace tests::integration
