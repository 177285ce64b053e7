// The death of a process of ours, without a word: no sandbox may outlive it, and gc removes what is
// left.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/gc.h"
#include "tests/namespaces/fixture.h"

#include <spawn.h>

namespace namespaces_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

bool ends_soon(pid_t pid) {
  for (int i = 0; i < 300; ++i) {
    if (::kill(pid, 0) != 0) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

pid_t spawner_of_this_process() {
  auto children = base::read_file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  std::istringstream pids(children ? *children : "");
  for (std::string pid; pids >> pid;) {
    auto name = base::read_file("/proc/" + pid + "/comm");
    if (name && *name == "sandlot-spawner\n") return std::stoi(pid);
  }
  return -1;
}

TEST_F(RuntimeTest, DeathOfTheSpawnerEndsEverySandbox) {
  auto container = start("orphan");
  ASSERT_TRUE(container);
  pid_t spawner = spawner_of_this_process();
  ASSERT_GT(spawner, 0);
  ::kill(spawner, SIGKILL);
  EXPECT_TRUE(await(container->exited()));
  auto next = await(runtime_->create(spec("next")));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code(), base::Errc::kUnavailable) << next.error().message();
}

class CrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string instance_ = base::random_id(6);
  fs::path directory_ = fs::path("/var/tmp") / ("sandlot-crash-" + instance_);
};

TEST_F(CrashTest, KilledServerTakesItsSandboxesAlongAndGcRemovesTheRest) {
  std::string role = kCrashRole;
  std::string place = directory_.string();
  std::string name = instance_;
  std::string self = fs::read_symlink("/proc/self/exe").string();
  char* arguments[] = {self.data(), role.data(), place.data(), name.data(), nullptr};
  pid_t server = -1;
  ASSERT_EQ(::posix_spawn(&server, self.c_str(), nullptr, nullptr, arguments, environ), 0);
  for (int i = 0; i < 500 && !fs::exists(directory_ / "pids"); ++i)
    std::this_thread::sleep_for(10ms);
  ASSERT_TRUE(fs::exists(directory_ / "pids"));
  EXPECT_THAT(namespaces::collect(directory_ / "run", directory_ / "data", false)->removed,
              IsEmpty())
      << "a live instance is left alone";

  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  std::ifstream pids(directory_ / "pids");
  for (pid_t pid = -1; pids >> pid;) EXPECT_TRUE(ends_soon(pid)) << pid;
  EXPECT_EQ(namespaces::count_objects(directory_ / "data", instance_)->directories, 3U);

  auto report = namespaces::collect(directory_ / "run", directory_ / "data", false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->dead, ElementsAre(instance_));
  EXPECT_THAT(report->failed, IsEmpty());
  auto counts = namespaces::count_objects(directory_ / "data", instance_);
  EXPECT_EQ(counts->cgroups + counts->directories + counts->trash, 0U);
  EXPECT_FALSE(fs::exists(directory_ / "run" / instance_));
  EXPECT_FALSE(fs::exists(directory_ / "data/sandboxes" / instance_));
}

}  // namespace namespaces_test
