#include "namespaces/tree_removal.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

#include "emulator/base/ids.h"

namespace namespaces_test {

namespace fs = std::filesystem;

class TreeRemovalTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_ / "victim"); }
  void TearDown() override { fs::remove_all(directory_); }
  fs::path directory_ = fs::temp_directory_path() / ("sandlot-trash-" + base::random_id(6));
};

TEST_F(TreeRemovalTest, NeverFollowsASymlink) {
  fs::create_directories(directory_ / "precious");
  std::ofstream(directory_ / "precious/file") << "x";
  fs::create_directory_symlink(directory_ / "precious", directory_ / "victim/link");
  fs::create_symlink("../precious/file", directory_ / "victim/file");
  ASSERT_TRUE(namespaces::remove_entry(directory_, "victim"));
  EXPECT_FALSE(fs::exists(directory_ / "victim"));
  EXPECT_TRUE(fs::exists(directory_ / "precious/file"));
}

TEST_F(TreeRemovalTest, VictimThatIsASymlinkLosesOnlyTheLink) {
  fs::create_directory_symlink(directory_ / "victim", directory_ / "link");
  ASSERT_TRUE(namespaces::remove_entry(directory_, "link"));
  EXPECT_TRUE(fs::exists(directory_ / "victim"));
  EXPECT_FALSE(fs::is_symlink(directory_ / "link"));
}

TEST_F(TreeRemovalTest, DepthDoesNotMatter) {
  int at = ::open((directory_ / "victim").c_str(), O_PATH | O_DIRECTORY);
  for (int depth = 0; depth < 3000; ++depth) {
    ASSERT_EQ(::mkdirat(at, "d", 0700), 0);
    int below = ::openat(at, "d", O_PATH | O_DIRECTORY);
    ::mknodat(at, "file", S_IFREG | 0600, 0);
    ::close(at);
    at = below;
  }
  ::close(at);
  auto removed = namespaces::remove_entry(directory_, "victim");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(TreeRemovalTest, AnyNameAndModeIsDeleted) {
  std::string name = "\xff\n -rf ..";
  fs::create_directories(directory_ / "victim" / name);
  ::mkfifo((directory_ / "victim" / name / "pipe").c_str(), 0);
  ::chmod((directory_ / "victim" / name).c_str(), 0);
  ASSERT_TRUE(namespaces::remove_entry(directory_, "victim"));
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(TreeRemovalTest, NeverEntersAMount) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::create_directories(directory_ / "precious");
  fs::create_directories(directory_ / "victim/mounted");
  std::ofstream(directory_ / "precious/file") << "x";
  auto point = directory_ / "victim/mounted";
  ASSERT_EQ(::mount((directory_ / "precious").c_str(), point.c_str(), nullptr, MS_BIND, nullptr),
            0);
  EXPECT_FALSE(namespaces::remove_entry(directory_, "victim"));
  ::umount2(point.c_str(), MNT_DETACH);
  EXPECT_TRUE(fs::exists(directory_ / "precious/file"));
}

TEST_F(TreeRemovalTest, MissingEntryIsFine) {
  EXPECT_TRUE(namespaces::remove_entry(directory_, "nothing"));
}

TEST_F(TreeRemovalTest, TrashKeepsTheNameFree) {
  ASSERT_TRUE(namespaces::move_to_trash(directory_ / "victim", directory_ / "trash", "a"));
  EXPECT_FALSE(fs::exists(directory_ / "victim"));
  EXPECT_TRUE(fs::exists(directory_ / "trash/a"));
}

}  // namespace namespaces_test
