// The database on a disk that is full. Labelled root: it mounts a small disk, in a mount namespace
// of its own.
#include <sched.h>

#include "tests/emulator/store/database_fixture.h"
#include "tests/integration/small_disk.h"

namespace emulator::store {
namespace {

using base::Errc;

class FullDiskTest : public DatabaseTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    disk_.emplace(directory_ / "disk", "size=600k");
    ASSERT_TRUE(disk_->mounted());
    directory_ /= "disk";
  }
  void TearDown() override {
    database_.reset();
    disk_.reset();
    directory_ = directory_.parent_path();
  }

  std::optional<tests::integration::SmallDisk> disk_;
};

TEST_F(FullDiskTest, AFullDiskIsAnErrorThatChangesNothingAndPasses) {
  open();
  int kept = 0;
  base::Result<Changed> done;
  for (int i = 0; i < 200; ++i) {
    done = add_secret("s" + std::to_string(i), std::string(20000, 'x'));
    if (!done) break;
    ++kept;
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kNoSpace) << done.error().message();
  EXPECT_NE(done.error().message().find("no space left"), std::string::npos);
  auto more = values("unsynced", Blob{std::string(20000, 'x')}, 1);
  auto unsynced =
      database_->exec("INSERT INTO secrets VALUES (?, ?, ?)", more, Durability::kProcess);
  done = tests::run_task(context_, std::move(unsynced));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kNoSpace) << done.error().message();
  auto count = [this] { return integer(query("SELECT count(*) FROM secrets")[0][0]); };
  EXPECT_EQ(count(), kept);
  open();
  EXPECT_EQ(count(), kept);
  ASSERT_EQ(::mount(nullptr, directory_.c_str(), nullptr, MS_REMOUNT, "size=4m"), 0);
  EXPECT_TRUE(add_secret("after", std::string(20000, 'x')));
  EXPECT_EQ(count(), kept + 1);
}

TEST_F(FullDiskTest, ADatabaseThatFindsNoRoomAtAllSaysSo) {
  ASSERT_EQ(::mount(nullptr, directory_.c_str(), nullptr, MS_REMOUNT, "size=8k"), 0);
  auto refused = Database::open(file());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kNoSpace) << refused.error().message();
}

}  // namespace
}  // namespace emulator::store
