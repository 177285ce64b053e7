// What a dead instance left is found and removed; what a live one has is not touched.
#include "namespaces/gc.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <gmock/gmock.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/cgroup_layout.h"
#include "namespaces/cgroup_tree.h"

namespace namespaces_test {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class GcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    layout_ = *namespaces::CgroupLayout::of_this_machine();
    fs::create_directories(data_ / "sandboxes" / name_ / "box/upper");
    fs::create_directories(data_ / "trash" / (name_ + "-old"));
  }
  void TearDown() override {
    for (const auto& root : layout_.used_roots()) {
      namespaces::remove_cgroup_tree(root / namespaces::instance_cgroup(name_));
    }
    fs::remove_all(directory_);
  }
  // A record of a process that has ended.
  void write_dead_record() {
    pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    auto record = *namespaces::record_of_this_process();
    record.pid = child;
    ::waitpid(child, nullptr, 0);
    fs::create_directories(run_ / name_);
    ASSERT_TRUE(namespaces::write_instance_record(run_ / name_, record));
  }
  void make_cgroups() {
    ASSERT_TRUE(namespaces::prepare_instance_cgroups(layout_, name_));
    for (const auto& root : layout_.used_roots()) {
      fs::create_directories(root / namespaces::instance_cgroup(name_) / "box");
    }
  }
  bool cgroups_exist() const {
    for (const auto& root : layout_.used_roots()) {
      if (fs::exists(root / namespaces::instance_cgroup(name_))) return true;
    }
    return false;
  }

  std::string name_ = base::random_id(6);
  fs::path directory_ = fs::path("/var/tmp") / ("sandlot-gc-" + name_);
  fs::path run_ = directory_ / "run";
  fs::path data_ = directory_ / "data";
  namespaces::CgroupLayout layout_;
};

TEST_F(GcTest, DeadInstanceIsRemovedWithItsFrozenProcesses) {
  write_dead_record();
  make_cgroups();
  pid_t sleeper = ::fork();
  if (sleeper == 0) {
    for (;;) ::pause();
  }
  for (const auto& root : layout_.used_roots()) {
    auto box = root / namespaces::instance_cgroup(name_) / "box";
    ASSERT_TRUE(base::write_control(box / "cgroup.procs", std::to_string(sleeper)));
    if (root != layout_.v2_root()) continue;
    ASSERT_TRUE(base::write_control(box / "cgroup.freeze", "1"));
  }
  // The parent of the sleeper must not wait for gc: it reaps by itself.
  ::signal(SIGCHLD, SIG_IGN);
  auto report = namespaces::collect(run_, data_, false);
  ::signal(SIGCHLD, SIG_DFL);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(report->dead, ElementsAre(name_));
  EXPECT_THAT(report->failed, IsEmpty());
  EXPECT_FALSE(cgroups_exist());
  EXPECT_FALSE(fs::exists(run_ / name_));
  EXPECT_FALSE(fs::exists(data_ / "sandboxes" / name_));
  EXPECT_FALSE(fs::exists(data_ / "trash" / (name_ + "-old")));
  EXPECT_NE(::kill(sleeper, 0), 0);
}

TEST_F(GcTest, BindMountsBelowTheRunDirectoryAreUndone) {
  write_dead_record();
  std::ofstream(run_ / name_ / "switch.netns") << "";
  auto point = run_ / name_ / "switch.netns";
  ASSERT_EQ(::mount("/proc/self/ns/net", point.c_str(), nullptr, MS_BIND, nullptr), 0);
  auto report = namespaces::collect(run_, data_, false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->removed, Contains("mount " + point.string()));
  EXPECT_FALSE(fs::exists(run_ / name_));
}

TEST_F(GcTest, LiveInstanceIsLeftAlone) {
  ASSERT_TRUE(namespaces::claim_instance(run_, name_));
  make_cgroups();
  auto report = namespaces::collect(run_, data_, false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->alive, ElementsAre(name_));
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_TRUE(cgroups_exist());
  EXPECT_TRUE(fs::exists(data_ / "sandboxes" / name_ / "box"));
  EXPECT_TRUE(fs::exists(data_ / "trash" / (name_ + "-old")));
  auto counts = namespaces::count_objects(data_, name_);
  EXPECT_EQ(counts->cgroups, layout_.used_roots().size());
  EXPECT_EQ(counts->directories, 1U);
  EXPECT_EQ(counts->trash, 1U);
}

TEST_F(GcTest, FilesOfPausedSandboxesStayUntilNobodyNamesThem) {
  write_dead_record();
  auto mine = data_ / "sandboxes" / name_;
  fs::copy(run_ / name_ / "instance", mine / "instance");
  fs::create_directories(mine / "paused/upper");
  auto report = namespaces::collect(run_, data_, false, std::nullopt, {"paused", "elsewhere"});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->removed, Contains("directory " + (mine / "box").string()));
  EXPECT_FALSE(fs::exists(mine / "box"));
  EXPECT_TRUE(fs::exists(mine / "paused/upper"));
  EXPECT_FALSE(fs::exists(run_ / name_));
  // The record still says that the instance is dead.
  report = namespaces::collect(run_, data_, false);
  ASSERT_TRUE(report);
  EXPECT_FALSE(fs::exists(mine));
}

TEST_F(GcTest, DryRunNamesButRemovesNothing) {
  write_dead_record();
  make_cgroups();
  auto report = namespaces::collect(run_, data_, true);
  ASSERT_TRUE(report);
  EXPECT_GE(report->removed.size(), 3U);
  EXPECT_TRUE(cgroups_exist());
  EXPECT_TRUE(fs::exists(run_ / name_));
}

TEST_F(GcTest, RecycledPidIsNotAlive) {
  auto record = *namespaces::record_of_this_process();
  EXPECT_TRUE(namespaces::is_alive(record));
  record.start_time += 1;
  EXPECT_FALSE(namespaces::is_alive(record));
  record = *namespaces::record_of_this_process();
  record.boot_id = "another";
  EXPECT_FALSE(namespaces::is_alive(record));
}

TEST_F(GcTest, NameOfALiveInstanceIsRefused) {
  fs::create_directories(run_ / name_);
  auto record = *namespaces::record_of_this_process();
  record.pid = ::getppid();
  auto parent = base::read_file("/proc/" + std::to_string(record.pid) + "/stat");
  std::string tail = parent->substr(parent->rfind(')') + 2);
  for (int field = 3; field < 22; ++field) tail = tail.substr(tail.find(' ') + 1);
  record.start_time = std::stoull(tail);
  ASSERT_TRUE(namespaces::write_instance_record(run_ / name_, record));
  auto claimed = namespaces::claim_instance(run_, name_);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code(), base::Errc::kAlreadyExists);
}

TEST_F(GcTest, AnInstanceWithADamagedRecordIsReportedAndLeftAlone) {
  fs::create_directories(run_ / name_);
  for (const char* text : {"", "no record\n"}) {
    std::ofstream(run_ / name_ / "instance") << text;
    auto report = namespaces::collect(run_, data_, false);
    ASSERT_TRUE(report);
    ASSERT_EQ(report->failed.size(), 1U) << text;
    EXPECT_THAT(report->failed[0], HasSubstr("instance " + name_));
    EXPECT_THAT(report->removed, IsEmpty());
    EXPECT_TRUE(fs::exists(run_ / name_));
    EXPECT_TRUE(fs::exists(data_ / "sandboxes" / name_ / "box"));
    EXPECT_TRUE(fs::exists(data_ / "trash" / (name_ + "-old"))) << "it may be at it";
  }
  // Its other record says that it is dead.
  write_dead_record();
  fs::rename(run_ / name_ / "instance", data_ / "sandboxes" / name_ / "instance");
  std::ofstream(run_ / name_ / "instance") << "";
  auto report = namespaces::collect(run_, data_, false);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->failed, IsEmpty());
  EXPECT_THAT(report->dead, ElementsAre(name_));
  EXPECT_FALSE(fs::exists(run_ / name_));
}

TEST_F(GcTest, DirectoryWithoutARecordIsNobodysBusiness) {
  auto report = namespaces::collect(run_, data_, false);
  ASSERT_TRUE(report);
  EXPECT_TRUE(fs::exists(data_ / "sandboxes" / name_));
}

}  // namespace namespaces_test
