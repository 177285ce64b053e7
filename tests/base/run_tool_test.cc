#include "emulator/base/run_tool.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace base {
namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

TEST(RunTool, ReturnsBothStreamsAndTheExitCode) {
  ToolSpec spec;
  spec.argv = {"sh", "-c", "echo out; echo err >&2; exit 7"};
  auto output = run_tool(spec);
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_EQ(output->exit_code, 7);
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
}

TEST(RunTool, FeedsMoreInputAndTakesMoreOutputThanAPipeHolds) {
  ToolSpec spec;
  spec.argv = {"cat"};
  spec.stdin_text = std::string(512U << 10U, 'x') + "end";
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_code, 0);
  EXPECT_TRUE(output->out == spec.stdin_text);
}

TEST(RunTool, KeepsNoMoreOutputThanAskedFor) {
  ToolSpec spec;
  spec.argv = {"head", "-c", "300000", "/dev/zero"};
  spec.output_limit = 1000;
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_code, 0);
  EXPECT_EQ(output->out.size(), 1000U);
  EXPECT_TRUE(output->cut);
  spec.output_limit = 300000;
  output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_FALSE(output->cut) << "exactly as much as fits";
}

TEST(RunTool, AddsToTheEnvironmentAndReplacesInIt) {
  ::setenv("SANDLOT_TEST_KEPT", "kept", 1);
  ::setenv("SANDLOT_TEST_OTHER", "old", 1);
  ToolSpec spec;
  spec.argv = {"sh", "-c", "echo $SANDLOT_TEST_KEPT $SANDLOT_TEST_OTHER $SANDLOT_TEST_NEW"};
  spec.environment = {{"SANDLOT_TEST_OTHER", "changed"}, {"SANDLOT_TEST_NEW", "new"}};
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "kept changed new\n");
}

TEST(RunTool, SaysWhenThereIsNoSuchProgram) {
  ToolSpec spec;
  for (const char* name : {"sandlot-no-such-program", "/no/such/program"}) {
    spec.argv = {name};
    auto output = run_tool(spec);
    ASSERT_FALSE(output) << name;
    EXPECT_EQ(output.error().code(), Errc::kNotFound) << output.error().message();
  }
}

TEST(RunTool, SaysWhenTheKernelCannotRunTheFile) {
  std::string pattern = (std::filesystem::temp_directory_path() / "sandlot-tool-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  ASSERT_TRUE(write_file(pattern + "/broken", "this is no program\n", 0755));
  ToolSpec spec;
  spec.argv = {pattern + "/broken"};
  auto output = run_tool(spec);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().os_errno(), ENOEXEC) << output.error().message();
  std::filesystem::remove_all(pattern);
}

TEST(RunTool, KillsAProgramAfterItsLimit) {
  ToolSpec spec;
  spec.argv = {"sleep", "30"};
  spec.timeout = std::chrono::milliseconds(100);
  auto before = std::chrono::steady_clock::now();
  auto output = run_tool(spec);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code(), Errc::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST(RunTool, DoesNotWaitForWhatTheProgramLeftBehind) {
  ToolSpec spec;
  spec.argv = {"sh", "-c", "sleep 3 & echo done"};
  auto before = std::chrono::steady_clock::now();
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

TEST(RunTool, ReportsADeathBySignal) {
  ToolSpec spec;
  spec.argv = {"sh", "-c", "kill -TERM $$"};
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_code, 128 + 15);
}

TEST(RunTool, PassesNoDescriptorOnAndLeavesNone) {
  auto secret = make_pipe();
  ASSERT_TRUE(secret);
  int inheritable = ::dup(secret->first.get());  // without close-on-exec
  std::size_t before = open_descriptors();
  ToolSpec spec;
  spec.argv = {"sh", "-c", "echo /proc/self/fd/*"};
  auto output = run_tool(spec);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out.find("/" + std::to_string(inheritable) + " "), std::string::npos)
      << output->out;
  EXPECT_EQ(open_descriptors(), before);
  ::close(inheritable);
}

}  // namespace
}  // namespace base
