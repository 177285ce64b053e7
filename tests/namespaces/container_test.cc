// A container from the outside: it comes up, has limits, freezes, ends.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include "emulator/base/posix.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/memory_reclaim.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

TEST_F(RuntimeTest, ContainerRunsACommandAsItsRoot) {
  auto container = start("first");
  ASSERT_TRUE(container);
  auto output = run_in(*container, 0, "id -u; hostname; ls -ld /usr /etc | wc -l");
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.text, "0\nsandbox-host\n2\n");
}

TEST_F(RuntimeTest, PidsLimitHolds) {
  auto wanted = spec("pids");
  wanted.limits.pids = 20;
  auto container = await(runtime_->create(wanted));
  ASSERT_TRUE(container) << container.error().message();
  auto output = run_in(**container, 1000, "for i in $(seq 40); do sleep 1 & done; echo done");
  EXPECT_THAT(output.text, HasSubstr("fork")) << output.text;
}

TEST_F(RuntimeTest, MemoryLimitKillsTheGreedyProcessOnly) {
  auto wanted = spec("memory");
  wanted.limits.memory_mb = 64;
  auto container = await(runtime_->create(wanted));
  ASSERT_TRUE(container) << container.error().message();
  auto output =
      run_in(**container, 1000, "exec python3 -c 'x = b\"x\" * (200 << 20); print(len(x))'");
  EXPECT_EQ(output.status, 128 + SIGKILL) << output.text;
  EXPECT_EQ(run_in(**container, 0, "echo alive").text, "alive\n");
  auto usage = (*container)->usage();
  ASSERT_TRUE(usage);
  EXPECT_GE(usage->oom_kills, 1U);
  EXPECT_GT(usage->memory_bytes, 0U);
  EXPECT_LE(usage->memory_bytes, 64U << 20U);
  EXPECT_GT(usage->cpu_usec, 0U);
}

TEST_F(RuntimeTest, CpuLimitHolds) {
  auto wanted = spec("cpu");
  wanted.limits.cpu_count = 1;
  auto container = await(runtime_->create(wanted));
  ASSERT_TRUE(container) << container.error().message();
  auto before = (*container)->usage()->cpu_usec;
  run_in(
      **container, 0,
      "(timeout 0.6 sh -c 'while :; do :; done' & timeout 0.6 sh -c 'while :; do :; done'; wait)");
  auto used = (*container)->usage()->cpu_usec - before;
  EXPECT_LT(used, 900'000U) << "two loops of 0.6 s on one CPU";
}

TEST_F(RuntimeTest, FrozenContainerStandsStillAndGoesOn) {
  auto container = start("freeze");
  ASSERT_TRUE(container);
  // A loop inside whose file grows for as long as it runs.
  run_in(*container, 0, "(while :; do date >> /tmp/ticks; done) > /dev/null 2>&1 &");
  auto ticks = [file = upper("freeze") / "tmp/ticks"] {
    std::error_code missing;
    auto size = std::filesystem::file_size(file, missing);
    return missing ? 0 : size;
  };
  auto grows_beyond = [&](std::uintmax_t size) {
    for (int i = 0; i < 500 && ticks() <= size; ++i) std::this_thread::sleep_for(10ms);
    return ticks() > size;
  };
  ASSERT_TRUE(grows_beyond(0));
  ASSERT_TRUE(await(container->freeze()));
  ASSERT_TRUE(await(container->freeze())) << "idempotent";
  auto frozen_at = ticks();
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(ticks(), frozen_at);
  ASSERT_TRUE(await(container->thaw()));
  EXPECT_TRUE(grows_beyond(frozen_at));
}

class MemoryReturnTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    auto layout = namespaces::CgroupLayout::of_this_machine();
    const auto* memory = layout ? layout->find("memory") : nullptr;
    bool can =
        memory != nullptr &&
        (memory->version == namespaces::CgroupVersion::kV1 ||
         ::access((memory->root / "sandlot" / instance_ / "memory.reclaim").c_str(), W_OK) == 0);
    if (!can) GTEST_SKIP() << "this kernel takes no memory back from a cgroup";
  }
  // Frozen, with 64 MiB of page cache.
  std::unique_ptr<namespaces::Container> frozen(const std::string& id) {
    auto container = start(id);
    run_in(*container, 0, "head -c 64M /dev/zero > /tmp/big");
    EXPECT_TRUE(await(container->freeze()));
    return container;
  }
  static std::uint64_t cache_mib(const namespaces::Container& container) {
    return container.usage()->memory_cache_bytes >> 20U;
  }
  // The loop turns meanwhile.
  void wait(std::chrono::milliseconds time) {
    io_.restart();
    io_.run_for(time);
  }
};

TEST_F(MemoryReturnTest, APausedContainerGivesItsPageCacheBack) {
  auto container = frozen("give");
  EXPECT_GE(cache_mib(*container), 48U);
  container->give_memory_back();
  EXPECT_GE(cache_mib(*container), 48U) << "not at once";
  for (int i = 0; i < 1000 && cache_mib(*container) > 8; ++i) wait(20ms);
  EXPECT_LE(cache_mib(*container), 8U);
  ASSERT_TRUE(await(container->thaw()));
  EXPECT_EQ(run_in(*container, 0, "wc -c < /tmp/big").text, "67108864\n");
}

TEST_F(MemoryReturnTest, ThawKeepsWhatWasNotGivenBackYet) {
  auto container = frozen("keep");
  container->give_memory_back();
  wait(100ms);
  ASSERT_TRUE(await(container->thaw()));
  wait(namespaces::MemoryReclaim::kDelay * 2);
  EXPECT_GE(cache_mib(*container), 48U);
  // Again: another pause is another chance.
  ASSERT_TRUE(await(container->freeze()));
  container->give_memory_back();
  for (int i = 0; i < 1000 && cache_mib(*container) > 8; ++i) wait(20ms);
  EXPECT_LE(cache_mib(*container), 8U);
}

TEST_F(MemoryReturnTest, KillInTheMiddleLeavesNothing) {
  for (int after : {0, 998, 1000, 1002, 1010}) {
    auto container = frozen("middle");
    container->give_memory_back();
    wait(std::chrono::milliseconds(after));
    container.reset();
    drain();
    EXPECT_EQ(cgroups_of("middle"), 0U) << after;
  }
}

TEST_F(RuntimeTest, KillEndsEverythingEvenWhenFrozen) {
  auto container = start("kill");
  ASSERT_TRUE(container);
  run_in(*container, 1000, "for i in 1 2 3; do setsid sleep 1000 > /dev/null 2>&1 & done");
  ASSERT_TRUE(await(container->freeze()));
  ASSERT_TRUE(await(container->kill()));
  ASSERT_TRUE(await(container->exited()));
  EXPECT_NE(::kill(container->pid(), 0), 0);
  container.reset();
  drain();
  EXPECT_EQ(cgroups_of("kill"), 0U);
  EXPECT_FALSE(std::filesystem::exists(upper("kill")));
}

TEST_F(RuntimeTest, ExitOfTheAgentIsReported) {
  auto container = start("exit");
  ASSERT_TRUE(container);
  ::kill(container->pid(), SIGKILL);
  EXPECT_TRUE(await(container->exited()));
}

TEST_F(RuntimeTest, DestructorLeavesNothing) {
  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<namespaces::Container>> all;
    for (int i = 0; i < 4; ++i) all.push_back(start("many-" + std::to_string(i)));
    EXPECT_GE(cgroups_of("many-0"), 1U);
    // Something to delete, with names that are no fun.
    run_in(*all[0], 0,
           "cd /tmp && mkdir -p 'a b/..x' && ln -s /etc/passwd link && ln -s / root && "
           "touch \"$(printf '\\377\\n')\" && chmod 000 'a b'");
    run_in(*all[1], 0, "cd /tmp && for i in $(seq 60); do mkdir d && cd d; done; touch deep");
    all.clear();
    drain();  // the names can be used again at once
  }
  EXPECT_EQ(cgroups_of("many-0"), 0U);
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
}

TEST_F(RuntimeTest, ManyAtOnce) {
  int left = 20;
  std::vector<std::unique_ptr<namespaces::Container>> all;
  for (int i = 0; i < 20; ++i) {
    boost::asio::co_spawn(
        io_, runtime_->create(spec("c" + std::to_string(i))),
        [&](const std::exception_ptr&, base::Result<std::unique_ptr<namespaces::Container>> made) {
          EXPECT_TRUE(made) << made.error().message();
          if (made) all.push_back(std::move(*made));
          --left;
        });
  }
  io_.restart();
  while (left > 0) io_.run_one();
  EXPECT_EQ(all.size(), 20U);
  for (const auto& container : all) EXPECT_EQ(run_in(*container, 0, "echo x").text, "x\n");
}

TEST_F(RuntimeTest, EndOfTheRuntimeEndsEverySandbox) {
  auto container = start("orphan");
  ASSERT_TRUE(container);
  pid_t pid = container->pid();
  runtime_.reset();
  for (int i = 0; i < 200 && ::kill(pid, 0) == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_TRUE(await(container->exited()));
  container.reset();
  io_.restart();
  io_.run();
  EXPECT_EQ(cgroups_of("orphan"), 0U);
  std::filesystem::remove_all(directory_);
}

}  // namespace namespaces_test
