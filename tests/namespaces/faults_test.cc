// What a test may do to a container: whom the end of its memory would kill, a disk without room.
#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>

#include "namespaces/oom_victim.h"
#include "namespaces/volume_mount.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using base::Errc;

namespace {

constexpr const char* kWhatIsThere =
    "find /home /etc /tmp -printf '%p %y %m %U %G %t %l\\n' | sort; cat /home/u/kept";
constexpr const char* kFull = "No space left on device";

bool becomes(const namespaces::Container& container, const std::string& command) {
  for (int i = 0; i < 300; ++i) {
    if (run_in(container, 0, command).status == 0) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST(OomVictim, IsWhoHasMostByTheKernelsRule) {
  using namespaces::oom_victim;
  using Processes = std::vector<namespaces::ProcessMemory>;
  const std::uint64_t limit = 1000U << 20U;
  EXPECT_FALSE(oom_victim(Processes{}, limit));
  EXPECT_FALSE(oom_victim(Processes{{7, 900U << 20U, -1000}}, limit));
  EXPECT_EQ(oom_victim(Processes{{1, 10, 0}, {2, 30, 0}, {3, 20, 0}}, limit), 2);
  // A point of the adjustment is a MiB here.
  EXPECT_EQ(oom_victim(Processes{{1, 50U << 20U, 0}, {2, 1U << 20U, 100}}, limit), 2);
  EXPECT_EQ(oom_victim(Processes{{1, 200U << 20U, 0}, {2, 1U << 20U, 100}}, limit), 1);
  EXPECT_EQ(
      namespaces::memory_of_status("Name:\tx\nVmRSS:\t     8 kB\nVmPTE:\t 2 kB\nVmSwap: 1 kB\n"),
      11U * 1024);
  EXPECT_EQ(namespaces::memory_of(::getpid())->pid, ::getpid());
  EXPECT_GT(namespaces::memory_of(::getpid())->bytes, 0U);
  EXPECT_FALSE(namespaces::memory_of(0));
}

TEST_F(RuntimeTest, TheLargestProcessIsKilledAndNobodyElse) {
  auto container = start("oom");
  ASSERT_TRUE(container);
  auto alone = await(container->kill_largest());
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code(), Errc::kFailedPrecondition);
  run_in(*container, 0, "sleep 300 > /dev/null 2>&1 & echo $! > /tmp/small");
  run_in(*container, 1000,
         "(python3 -c 'import time; x = b\"x\" * (40 << 20); open(\"/tmp/held\", \"w\").close(); "
         "time.sleep(300)'; echo $? > /tmp/status) > /dev/null 2>&1 &");
  ASSERT_TRUE(becomes(*container, "test -e /tmp/held"));
  auto killed = await(container->kill_largest());
  ASSERT_TRUE(killed) << killed.error().message();
  ASSERT_TRUE(becomes(*container, "test -s /tmp/status"));
  EXPECT_EQ(run_in(*container, 0, "cat /tmp/status").text, "137\n");
  EXPECT_EQ(run_in(*container, 0, "kill -0 $(cat /tmp/small)").status, 0);
}

TEST_F(RuntimeTest, AFullDiskTakesNothingAndLosesNothing) {
  auto container = start("full");
  ASSERT_TRUE(container);
  run_in(*container, 0, "mkdir -p /home/u; echo before > /home/u/kept; chmod 1777 /tmp");
  std::string before = run_in(*container, 0, kWhatIsThere).text;
  for (int round = 0; round < 2; ++round) {
    auto filled = await(container->set_disk_full(true));
    ASSERT_TRUE(filled) << filled.error().message();
    EXPECT_TRUE(await(container->set_disk_full(true))) << "once more changes nothing";
    EXPECT_EQ(run_in(*container, 0, kWhatIsThere).text, before);
    EXPECT_EQ(run_in(*container, 0, "cat /home/u/kept").text, "before\n");
    for (const std::string attempt :
         {"echo x > /home/u/new", "echo x >> /home/u/kept", "rm /home/u/kept", "mkdir /etc/new",
          "mv /home/u/kept /home/u/moved", "chmod 600 /home/u/kept", "ln -s x /home/u/link",
          "echo x > /tmp/new", "touch /usr/new", "truncate -s 0 /home/u/kept"}) {
      auto output = run_in(*container, 0, attempt);
      EXPECT_NE(output.status, 0) << attempt;
      EXPECT_THAT(output.text, HasSubstr(kFull)) << attempt;
    }
    EXPECT_EQ(run_in(*container, 0, "echo x > /dev/shm/free && cat /dev/shm/free").text, "x\n");
    EXPECT_NE(run_in(*container, 0, "umount /home").status, 0) << "its root cannot end it";
    ASSERT_TRUE(await(container->set_disk_full(false)));
    EXPECT_EQ(run_in(*container, 0, kWhatIsThere).text, before);
  }
  EXPECT_EQ(run_in(*container, 0, "echo after > /home/u/kept; cat /home/u/kept").text, "after\n");
  EXPECT_EQ(run_in(*container, 0, "grep -c ^full /proc/mounts").text, "0\n");
}

TEST_F(RuntimeTest, AFullDiskIsFilledAndFreedWhileFrozenAndGoesWithTheContainer) {
  auto container = start("frozen-full");
  ASSERT_TRUE(container);
  ASSERT_TRUE(await(container->freeze()));
  ASSERT_TRUE(await(container->set_disk_full(true)));
  ASSERT_TRUE(await(container->thaw()));
  EXPECT_THAT(run_in(*container, 0, "echo x > /tmp/new").text, HasSubstr(kFull));
  ASSERT_TRUE(await(container->freeze()));
  ASSERT_TRUE(await(container->set_disk_full(false)));
  ASSERT_TRUE(await(container->thaw()));
  EXPECT_EQ(run_in(*container, 0, "echo x > /tmp/new; cat /tmp/new").text, "x\n");
  ASSERT_TRUE(await(container->set_disk_full(true)));
  ASSERT_TRUE(await(container->kill()));
  (void)await(container->set_disk_full(false));  // fine or not, it comes back
}

TEST_F(RuntimeTest, ARootWithTooManyDirectoriesIsRefusedAndStaysAsItIs) {
  auto container = start("full-many");
  ASSERT_TRUE(container);
  run_in(*container, 0, "mkdir $(seq -f /d%g 300)");
  auto filled = await(container->set_disk_full(true));
  ASSERT_FALSE(filled);
  EXPECT_EQ(filled.error().code(), Errc::kResourceExhausted) << filled.error().message();
  EXPECT_EQ(run_in(*container, 0, "echo x > /tmp/new && cat /tmp/new").text, "x\n");
  EXPECT_EQ(run_in(*container, 0, "grep -c ^full /proc/mounts").text, "0\n");
}

TEST_F(RuntimeTest, AVolumeBelowAFullDiskKeepsItsRoom) {
  auto container = start("full-volume");
  ASSERT_TRUE(container);
  auto source = directory_ / "volume-of-full";
  std::filesystem::create_directory(source);
  base::UniqueFd root(::open(source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  namespaces::SandboxPlace place{container->pid(), container->pidfd()};
  auto mounted = namespaces::mount_into(place, root.get(), "/home/u/data");
  ASSERT_TRUE(mounted) << mounted.error().message();
  run_in(*container, 0, "chmod 777 /home/u/data; echo before > /home/u/data/kept");
  ASSERT_TRUE(await(container->set_disk_full(true)));
  EXPECT_EQ(run_in(*container, 0, "cat /home/u/data/kept").text, "before\n");
  EXPECT_EQ(run_in(*container, 0, "echo x > /home/u/data/new && cat /home/u/data/new").text, "x\n");
  EXPECT_THAT(run_in(*container, 0, "echo x > /home/u/new").text, HasSubstr(kFull));
  auto busy = namespaces::unmount_from(place, *mounted, false);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), Errc::kConflict);
  ASSERT_TRUE(await(container->set_disk_full(false)));
  EXPECT_EQ(run_in(*container, 0, "cat /home/u/data/new").text, "x\n");
  EXPECT_TRUE(namespaces::unmount_from(place, *mounted, false));
}

}  // namespace namespaces_test
