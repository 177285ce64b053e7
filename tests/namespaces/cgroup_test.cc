// Limits against recorded file trees: the machine that runs the tests may have its controllers
// elsewhere.
#include "namespaces/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>

#include <gmock/gmock.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/cgroup_tree.h"
#include "namespaces/memory_reclaim.h"

namespace namespaces_test {

using namespaces::Cgroup;
using namespaces::CgroupLayout;
using namespaces::CgroupVersion;
using ::testing::ElementsAre;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

// A hybrid machine: version 1 controllers, version 2 with nothing that we limit.
constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 master:2 - cgroup cgroup rw,memory\n"
    "37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /nowhere/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupLayoutTest, HybridLimitsThroughVersion1AndFreezesThroughVersion2) {
  auto layout = CgroupLayout::parse(kHybrid);
  EXPECT_EQ(layout.v2_root(), "/nowhere/unified");
  ASSERT_NE(layout.find("memory"), nullptr);
  EXPECT_EQ(layout.find("memory")->root, "/sys/fs/cgroup/memory");
  EXPECT_EQ(layout.find("cpu")->root, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_FALSE(layout.v2_has("memory"));
  EXPECT_THAT(layout.used_roots(),
              ElementsAre("/nowhere/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids",
                          "/sys/fs/cgroup/cpu,cpuacct"));
}

TEST(CgroupLayoutTest, Version1AloneUsesItsFreezer) {
  std::string text = kHybrid;
  auto layout = CgroupLayout::parse(text.substr(0, text.find("41 31")));
  EXPECT_TRUE(layout.v2_root().empty());
  EXPECT_THAT(layout.used_roots(), ::testing::Contains("/sys/fs/cgroup/freezer"));
}

TEST(CgroupLayoutTest, MachineWithoutCgroupsHasNone) {
  auto layout = CgroupLayout::parse("27 1 254:0 / / rw - ext4 /dev/vda rw\n");
  EXPECT_TRUE(layout.used_roots().empty());
  EXPECT_EQ(layout.find("memory"), nullptr);
}

// A version 2 tree of plain files.
class RecordedV2Test : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_);
    put("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    for (const char* level : {".", "sandlot", "sandlot/inst01"}) {
      fs::create_directories(root_ / level);
      put(fs::path(level) / "cgroup.subtree_control", "");
    }
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const fs::path& file, const std::string& text) { std::ofstream(root_ / file) << text; }
  std::string get(const fs::path& file) { return *base::read_file(root_ / file); }
  CgroupLayout layout() {
    return CgroupLayout::parse("29 23 0:26 / " + root_.string() + " rw - cgroup2 cgroup2 rw\n");
  }

  fs::path root_ = fs::temp_directory_path() / ("sandlot-cgroup-" + base::random_id(6));
};

TEST_F(RecordedV2Test, ControllersAreHandedDownToTheInstance) {
  ASSERT_TRUE(namespaces::prepare_instance_cgroups(layout(), "inst01"));
  for (const char* level : {".", "sandlot", "sandlot/inst01"}) {
    EXPECT_EQ(get(fs::path(level) / "cgroup.subtree_control"), "+memory +pids +cpu") << level;
  }
}

TEST_F(RecordedV2Test, LimitsAreWrittenToTheFilesOfVersion2) {
  // The kernel makes the files with the directory; a plain file system does not: made by a second
  // create that finds the directory is refused, so the files are put in place through the parent's
  // hook below.
  fs::path directory = root_ / "sandlot/inst01/box";
  auto refused = Cgroup::create(layout(), "inst01", "box", {});
  EXPECT_FALSE(refused) << "no control files in a plain directory";
  EXPECT_FALSE(fs::exists(directory)) << "nothing half-made is left";
  fs::create_directories(directory);
  for (const char* name : {"memory.max", "pids.max", "cpu.max"}) put(directory / name, "max");
  namespaces::Limits limits{2, 512, 100};
  ASSERT_TRUE(namespaces::write_limits(layout(), "sandlot/inst01/box", limits));
  EXPECT_EQ(get(directory / "memory.max").substr(0, 9), "536870912");
  EXPECT_EQ(get(directory / "pids.max").substr(0, 3), "100");
  EXPECT_EQ(get(directory / "cpu.max").substr(0, 13), "200000 100000");
}

TEST_F(RecordedV2Test, UsageIsReadFromTheFilesOfVersion2) {
  fs::path directory = root_ / "sandlot/inst01/box";
  fs::create_directories(directory);
  put(directory / "cpu.stat", "usage_usec 1234\nuser_usec 1000\nnr_throttled 0\n");
  put(directory / "memory.current", "4096000\n");
  put(directory / "memory.stat", "anon 1\nfile 2048\nfile_mapped 7\n");
  put(directory / "memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 0\n");
  auto usage = namespaces::read_usage(layout(), "sandlot/inst01/box");
  EXPECT_EQ(usage.cpu_usec, 1234U);
  EXPECT_EQ(usage.memory_bytes, 4096000U);
  EXPECT_EQ(usage.memory_cache_bytes, 2048U);
  EXPECT_EQ(usage.oom_kills, 3U);
}

TEST_F(RecordedV2Test, MemoryIsGivenBackInSteps) {
  fs::path directory = root_ / "sandlot/inst01/box";
  fs::create_directories(directory);
  put(directory / "memory.current", "104857600\n");
  namespaces::StopSign stop;
  namespaces::reclaim_memory(layout(), "sandlot/inst01/box", stop);
  EXPECT_FALSE(fs::exists(directory / "memory.reclaim")) << "an old kernel has none";
  put(directory / "memory.reclaim", "");
  namespaces::reclaim_memory(layout(), "sandlot/inst01/box", stop);
  EXPECT_EQ(get(directory / "memory.reclaim"), "67108864\n37748736\n");
  stop.set();
  namespaces::reclaim_memory(layout(), "sandlot/inst01/box", stop);
  EXPECT_EQ(get(directory / "memory.reclaim"), "67108864\n37748736\n") << "stopped";
}

// A version 1 machine whose kernel takes its time: the control file is a full pipe.
TEST_F(RecordedV2Test, GivingMemoryBackIsInterrupted) {
  auto version1 =
      CgroupLayout::parse("35 31 0:32 / " + root_.string() + " rw - cgroup cgroup rw,memory\n");
  fs::path file = root_ / "sandlot/inst01/memory.force_empty";
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  base::UniqueFd pipe(::open(file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  std::string block(4096, 'x');
  while (::write(pipe.get(), block.data(), block.size()) > 0) continue;
  namespaces::StopSign stop;
  auto reclaiming = std::async(
      std::launch::async, [&] { namespaces::reclaim_memory(version1, "sandlot/inst01", stop); });
  EXPECT_EQ(reclaiming.wait_for(200ms), std::future_status::timeout) << "the kernel is busy";
  bool back = false;
  for (int i = 0; i < 500 && !back; ++i) {
    stop.set();
    back = reclaiming.wait_for(10ms) == std::future_status::ready;
  }
  EXPECT_TRUE(back);
  while (!back && ::read(pipe.get(), block.data(), block.size()) > 0) continue;
}

}  // namespace namespaces_test
