#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/cli/cli.h"
#include "emulator/config/command_line.h"

namespace emulator::cli {
namespace {

using ::testing::HasSubstr;

struct Ran {
  int code = -1;
  int served = 0;
  config::Options options;
  std::optional<ExecRequest> exec;
  std::string out;
  std::string err;
};

Ran run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "sandlot");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  Ran ran;
  const ServeFunction serve = [&ran](const config::Options& options,
                                     std::optional<ExecRequest> exec) {
    ++ran.served;
    ran.options = options;
    ran.exec = std::move(exec);
    return 42;
  };
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  ran.code = run_cli(static_cast<int>(argv.size()), argv.data(), serve);
  ran.out = ::testing::internal::GetCapturedStdout();
  ran.err = ::testing::internal::GetCapturedStderr();
  return ran;
}

// No test may meet an emulator that really runs here.
std::string empty_run_dir() {
  return "--run-dir=/tmp/sandlot-test-" + base::random_id(8);
}

TEST(RunCli, ServeHandsItsOptionsAndItsExitCodeOn) {
  const Ran ran = run({"serve", "--port", "0", "--internet", "none"});
  EXPECT_EQ(ran.code, 42);
  EXPECT_EQ(ran.served, 1);
  EXPECT_EQ(ran.options.internet, config::Internet::kNone);
  EXPECT_FALSE(ran.exec);
}

TEST(RunCli, ExecTakesAFreePortAndADnsAddressOfItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Ran ran = run({"exec", "--", "true", "--flag"});
  EXPECT_EQ(ran.code, 42);
  ASSERT_TRUE(ran.exec);
  EXPECT_EQ(ran.exec->command, (std::vector<std::string>{"true", "--flag"}));
  EXPECT_EQ(ran.options.port, 0);
  EXPECT_EQ(ran.options.dns_port, 53);
  EXPECT_THAT(ran.options.dns_host, ::testing::StartsWith("127."));
  EXPECT_EQ(run({"exec", "--port", "7000", "--", "true"}).options.port, 7000);
}

TEST(RunCli, WhatIsWrongServesNothing) {
  const Ran unknown = run({"serve", "--prot", "1"});
  EXPECT_EQ(unknown.code, config::kUsage);
  EXPECT_EQ(unknown.served, 0);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean '--port'?"));
  EXPECT_EQ(unknown.out, "");
}

TEST(RunCli, EnvAndReadySayThatNothingRuns) {
  const Ran env = run({"env", empty_run_dir()});
  EXPECT_EQ(env.code, config::kNotReady);
  EXPECT_THAT(env.err, HasSubstr("no emulator is running"));
  EXPECT_EQ(run({"ready", empty_run_dir()}).code, config::kNotReady);
  EXPECT_EQ(run({"ready", "--wait", "--timeout", "100ms", empty_run_dir()}).code,
            config::kNotReady);
}

TEST(RunCli, VersionIsWordsOrJson) {
  EXPECT_THAT(run({"version"}).out, HasSubstr("sandlot " SANDLOT_VERSION));
  EXPECT_THAT(run({"version", "--json"}).out, HasSubstr("\"version\": \"" SANDLOT_VERSION "\""));
  EXPECT_EQ(run({"--version"}).code, 0);
}

TEST(RunCli, ConfigShowPrintsOriginsAndNoSecret) {
  const Ran ran = run({"config", "show", "--port", "1234", "--api-key", "hidden-key"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, ::testing::ContainsRegex("port +1234 +flag"));
  EXPECT_THAT(ran.out, ::testing::ContainsRegex("domain +localhost +default"));
  EXPECT_THAT(ran.out, ::testing::Not(HasSubstr("hidden-key")));
  EXPECT_THAT(run({"config", "show", "--json"}).out, HasSubstr("\"origin\": \"default\""));
}

}  // namespace
}  // namespace emulator::cli
