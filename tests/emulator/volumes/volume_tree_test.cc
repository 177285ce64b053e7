// The files of a volume: what the paths of strangers can reach.
#include "emulator/volumes/volume_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace emulator::volumes {
namespace {

namespace fs = std::filesystem;
using base::Errc;
using Type = VolumeTree::Entry::Type;

class VolumeTreeTest : public testing::Test {
 protected:
  VolumeTreeTest() {
    std::string name = (fs::temp_directory_path() / "volume-tree-XXXXXX").string();
    outer_ = ::mkdtemp(name.data());
    fs::create_directory(outer_ / "root");
    std::ofstream(outer_ / "outside") << "secret";
    root_ = base::UniqueFd(::open((outer_ / "root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~VolumeTreeTest() override { fs::remove_all(outer_); }

  VolumeTree tree() const { return VolumeTree(root_.get()); }
  void write(const std::string& path, const std::string& text) {
    auto file = tree().create_file(path, {}, true);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE(base::write_all(file->fd.get(), text));
  }
  void link(const std::string& target, const std::string& path) {
    ASSERT_EQ(::symlinkat(target.c_str(), root_.get(), path.c_str()), 0);
  }
  template <class T>
  static Errc code_of(const base::Result<T>& result) {
    EXPECT_FALSE(result);
    return result ? Errc::kInternal : result.error().code();
  }

  fs::path outer_;
  base::UniqueFd root_;
};

TEST(CleanPath, IsAbsoluteAndHasNoDots) {
  EXPECT_EQ(*clean_path("a"), "/a");
  EXPECT_EQ(*clean_path("//a//b/"), "/a/b");
  EXPECT_EQ(*clean_path("/a/./b/../c"), "/a/c");
  EXPECT_EQ(*clean_path("/../../etc"), "/etc");
  EXPECT_EQ(*clean_path(""), "/");
  EXPECT_EQ(*clean_path("/"), "/");
  EXPECT_EQ(*clean_path("/a/..b"), "/a/..b");
  EXPECT_FALSE(clean_path(std::string("a\0b", 3)));
}

TEST_F(VolumeTreeTest, LinksThatLeadOutLeadNowhere) {
  link("/", "absolute");
  link((outer_ / "outside").string(), "file");
  link("../outside", "relative");
  link("..", "up");
  for (const char* path : {"/file", "/relative", "/up/outside"}) {
    EXPECT_EQ(code_of(tree().open_file(path)), Errc::kNotFound) << path;
  }
  EXPECT_EQ(code_of(tree().list("/absolute/etc", 1)), Errc::kNotFound);
  // Inside the volume, a link to "/" is the volume's root.
  EXPECT_EQ(tree().list("/absolute", 1)->size(), 4U);
  // Nothing is written through it either.
  EXPECT_FALSE(tree().create_file("/relative", {}, false));
  ASSERT_TRUE(tree().create_file("/up/planted", {}, true));
  EXPECT_TRUE(fs::exists(outer_ / "root/planted"));
  EXPECT_FALSE(fs::exists(outer_ / "planted"));
  EXPECT_EQ(*base::read_file(outer_ / "outside"), "secret");
  ASSERT_TRUE(tree().remove("/absolute"));
  EXPECT_TRUE(fs::exists("/etc/passwd"));
}

TEST_F(VolumeTreeTest, PipesSocketsAndDirectoriesAreNoFiles) {
  ASSERT_EQ(::mkfifoat(root_.get(), "pipe", 0666), 0);
  ASSERT_TRUE(tree().make_directory("/dir", {}, false));
  EXPECT_EQ(code_of(tree().open_file("/pipe")), Errc::kNotFound);
  EXPECT_EQ(code_of(tree().open_file("/dir")), Errc::kNotFound);
  EXPECT_FALSE(tree().create_file("/pipe", {}, true));
  EXPECT_FALSE(tree().create_file("/dir", {}, true));
  EXPECT_FALSE(tree().create_file("/", {}, true));
  EXPECT_EQ(tree().stat("/pipe")->type, Type::kUnknown);
}

TEST_F(VolumeTreeTest, OwnersAndModesAreTheCloudsUnlessTold) {
  write("/a", "");
  auto entry = tree().stat("/a");
  EXPECT_EQ(entry->uid, 9090U);
  EXPECT_EQ(entry->mode, 0666U);
  auto made = tree().make_directory("/p/q", {1000, 1001, 0700}, true);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->gid, 1001U);
  EXPECT_EQ(made->mode, 0700U);
  EXPECT_EQ(tree().stat("/p")->mode, 0777U);
  EXPECT_EQ(tree().stat("/p")->uid, 1000U);
  // No setuid bit by this way.
  EXPECT_EQ(tree().change("/a", {{}, {}, 04755})->mode, 0755U);
  struct stat info {};
  ASSERT_EQ(::fstatat(root_.get(), "a", &info, 0), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755U);
}

TEST_F(VolumeTreeTest, ListsDeepAsTold) {
  write("/a/b/c", "1");
  write("/z", "2");
  auto names = [&](unsigned depth) {
    std::string all;
    auto entries = tree().list("/", depth);
    if (!entries) return entries.error().message();
    for (const auto& entry : *entries) all += entry.path + " ";
    return all;
  };
  EXPECT_EQ(names(0), "/a /z ");
  EXPECT_EQ(names(1), "/a /z ");
  EXPECT_EQ(names(2), "/a /a/b /z ");
  EXPECT_EQ(names(3), "/a /a/b /a/b/c /z ");
  EXPECT_EQ(code_of(tree().list("/", 11)), Errc::kInvalidArgument);
}

TEST_F(VolumeTreeTest, RemovesTreesAndNeverTheRoot) {
  write("/a/b/c", "1");
  link("/a", "to-a");
  EXPECT_EQ(code_of(tree().remove("/")), Errc::kInvalidArgument);
  ASSERT_TRUE(tree().remove("/to-a"));
  EXPECT_TRUE(tree().stat("/a/b/c"));
  ASSERT_TRUE(tree().remove("/a"));
  EXPECT_EQ(code_of(tree().remove("/a")), Errc::kNotFound);
}

}  // namespace
}  // namespace emulator::volumes
