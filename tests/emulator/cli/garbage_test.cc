// What a dead instance left is collected as a whole: what undoes its uplink goes last.
#include "emulator/cli/garbage.h"

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "emulator/base/ids.h"
#include "namespaces/instance.h"

namespace emulator::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class GarbageTest : public testing::Test {
 protected:
  ~GarbageTest() override { fs::remove_all(directory_); }
  // An instance of a process that has ended.
  std::string dead() {
    std::string name = base::random_id(6);
    pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    auto record = *namespaces::record_of_this_process();
    record.pid = child;
    ::waitpid(child, nullptr, 0);
    fs::create_directories(run_ / name);
    EXPECT_TRUE(namespaces::write_instance_record(run_ / name, record));
    return name;
  }

  fs::path directory_ = fs::path("/var/tmp") / ("sandlot-garbage-" + base::random_id(6));
  fs::path run_ = directory_ / "run";
  fs::path data_ = directory_ / "data";
};

TEST_F(GarbageTest, AnInstanceWhoseUplinkCannotBeUndoneKeepsTheRecordOfIt) {
  std::string stuck = dead();
  std::string other = dead();
  fs::create_directory(run_ / stuck / "uplink");  // no file: it cannot be read
  auto would = collect_garbage(run_, data_, true, {});
  ASSERT_TRUE(would) << would.error().message();
  EXPECT_THAT(would->failed, ElementsAre(HasSubstr("uplink of instance " + stuck)));
  EXPECT_TRUE(fs::exists(run_ / other)) << "a dry run removes nothing";
  auto report = collect_garbage(run_, data_, false, {});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(report->failed, ElementsAre(HasSubstr("uplink of instance " + stuck)));
  EXPECT_THAT(report->dead, ElementsAre(other));
  EXPECT_TRUE(fs::exists(run_ / stuck / "uplink"));
  EXPECT_FALSE(fs::exists(run_ / other));
  // The next collection finds it.
  fs::remove(run_ / stuck / "uplink");
  report = collect_garbage(run_, data_, false, {});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->failed, IsEmpty());
  EXPECT_THAT(report->dead, ElementsAre(stuck));
  EXPECT_FALSE(fs::exists(run_ / stuck));
}

TEST_F(GarbageTest, NothingIsFoundWhereNothingIs) {
  auto report = collect_garbage(run_, data_, false, {});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->dead, IsEmpty());
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_THAT(report->failed, IsEmpty());
}

}  // namespace
}  // namespace emulator::cli
