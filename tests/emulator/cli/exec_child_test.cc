#include "emulator/cli/exec_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/async.h"
#include "emulator/base/ids.h"
#include "emulator/base/posix.h"

namespace emulator::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ExecChildTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    directory_ = fs::temp_directory_path() / ("sandlot-test-" + base::random_id(8));
    fs::create_directories(directory_);
  }
  void TearDown() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }
  // A shell whose script may write to $OUT.
  ExecChild shell(const std::string& script) const {
    ExecChild child;
    child.argv = {"sh", "-c", script};
    child.environment = {"PATH=/usr/bin:/bin", "OUT=" + (directory_ / "out").string()};
    return child;
  }
  int run(const ExecChild& child) const {
    auto running = start_exec_child(child);
    EXPECT_TRUE(running) << running.error().message();
    return running ? reap_exec_child(*running) : -1;
  }
  std::string out() const { return base::read_file(directory_ / "out").value_or(""); }

  fs::path directory_;
};

TEST_F(ExecChildTest, TheExitCodeComesBack) {
  EXPECT_EQ(run(shell("exit 7")), 7);
  EXPECT_EQ(run(shell("kill -9 $$")), 128 + SIGKILL);
}

TEST_F(ExecChildTest, TheChildSeesItsOwnResolverAndTheMachineKeepsIts) {
  const std::string before = *base::read_file("/etc/resolv.conf");
  ExecChild child = shell("cat /etc/resolv.conf /etc/nsswitch.conf > $OUT");
  auto overrides = prepare_name_resolution(directory_ / "exec", "127.9.8.7");
  ASSERT_TRUE(overrides) << overrides.error().message();
  child.overrides = *overrides;
  EXPECT_EQ(run(child), 0);
  EXPECT_THAT(out(), HasSubstr("nameserver 127.9.8.7\n"));
  EXPECT_THAT(out(), HasSubstr("hosts: files dns\n"));
  EXPECT_THAT(out(), Not(HasSubstr("myhostname")));
  EXPECT_EQ(*base::read_file("/etc/resolv.conf"), before);
  EXPECT_THAT(*base::read_file("/proc/self/mountinfo"), Not(HasSubstr("/etc/resolv.conf")));
}

TEST_F(ExecChildTest, AMountThatFailsIsAnErrorAndNoProcess) {
  ExecChild child = shell("true");
  child.overrides = {{"/nonexistent/file", "/etc/resolv.conf"}};
  auto running = start_exec_child(child);
  ASSERT_FALSE(running);
  EXPECT_THAT(running.error().message(), HasSubstr("replace a resolver file"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(ExecChildTest, AProgramThatDoesNotExistIsNotFound) {
  ExecChild child;
  child.argv = {"no-such-program-here"};
  auto running = start_exec_child(child);
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code(), base::Errc::kNotFound);
  child.argv = {"/etc/passwd"};
  running = start_exec_child(child);
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code(), base::Errc::kPermissionDenied);
}

TEST_F(ExecChildTest, SignalsAreDefaultAndUnblockedInTheChild) {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  EXPECT_EQ(run(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status > $OUT")), 0);
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  ::sigaction(SIGPIPE, &before, nullptr);
  EXPECT_THAT(out(), HasSubstr("SigBlk:\t0000000000000000"));
  // SIGPIPE is bit 12.
  const std::string ignored = out().substr(out().find("SigIgn:\t") + 8, 16);
  EXPECT_EQ(std::stoull(ignored, nullptr, 16) & (1U << (SIGPIPE - 1)), 0U);
}

TEST_F(ExecChildTest, OurDescriptorsStayOurs) {
  auto file = base::open_file(directory_ / "secret", O_RDWR | O_CREAT);
  ASSERT_TRUE(file);
  EXPECT_EQ(run(shell("ls -l /proc/self/fd > $OUT")), 0);
  EXPECT_THAT(out(), Not(HasSubstr("secret")));
}

// ---- run_exec_child: the whole of it.

boost::asio::awaitable<void> run_into(ExecRequest request,
                                      Endpoint endpoint,
                                      fs::path directory,
                                      int* code) {
  *code = co_await run_exec_child(std::move(request), std::move(endpoint), std::move(directory));
}

int run_whole(const std::vector<std::string>& command,
              const fs::path& directory,
              std::optional<std::uint16_t> dns_port,
              boost::asio::io_context& context) {
  Endpoint endpoint;
  endpoint.port = 4711;
  endpoint.bundle_file = "/bundle.pem";
  endpoint.dns_host = "127.9.8.7";
  endpoint.dns_port = dns_port;
  ExecRequest request;
  request.command = command;
  int code = -1;
  boost::asio::co_spawn(context, run_into(request, endpoint, directory, &code),
                        [](std::exception_ptr error) {
                          if (error) std::rethrow_exception(error);
                        });
  context.run();
  return code;
}

TEST_F(ExecChildTest, TheWholeGivesVariablesResolverAndExitCode) {
  boost::asio::io_context context;
  const std::string target = (directory_ / "out").string();
  const std::string script = "env > " + target + "; cat /etc/resolv.conf >> " + target + "; exit 5";
  EXPECT_EQ(run_whole({"sh", "-c", script}, directory_, 53, context), 5);
  EXPECT_THAT(out(), HasSubstr("E2B_DOMAIN=localhost:4711\n"));
  EXPECT_THAT(out(), HasSubstr("SSL_CERT_FILE=/bundle.pem\n"));
  EXPECT_THAT(out(), HasSubstr("nameserver 127.9.8.7\n"));
  EXPECT_THAT(out(), Not(HasSubstr("E2B_API_URL")));
}

TEST_F(ExecChildTest, WithoutDnsTheUrlsStandIn) {
  boost::asio::io_context context;
  EXPECT_EQ(run_whole({"sh", "-c", "env > " + (directory_ / "out").string()}, directory_,
                      std::nullopt, context),
            0);
  EXPECT_THAT(out(), HasSubstr("E2B_API_URL=http://localhost:4711\n"));
  EXPECT_THAT(out(), Not(HasSubstr("E2B_DOMAIN")));
}

TEST_F(ExecChildTest, AMissingCommandIs127) {
  boost::asio::io_context context;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_whole({"no-such-program-here"}, directory_, 53, context), 127);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("command not found"));
}

// Signals us as soon as the child says that it waits.
boost::asio::awaitable<void> terminate_when(fs::path file) {
  while (!fs::exists(file)) co_await base::sleep_for(std::chrono::milliseconds(5));
  ::kill(::getpid(), SIGTERM);
}

TEST_F(ExecChildTest, ATerminationIsPassedOnAndTheChildDecides) {
  boost::asio::io_context context;
  const fs::path waiting = directory_ / "waiting";
  boost::asio::co_spawn(context, terminate_when(waiting), [](std::exception_ptr) {});
  const std::string script =
      "trap 'exit 9' TERM; touch " + waiting.string() + "; while :; do sleep 0.05; done";
  EXPECT_EQ(run_whole({"sh", "-c", script}, directory_, 53, context), 9);
}

}  // namespace
}  // namespace emulator::cli
