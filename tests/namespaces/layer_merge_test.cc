#include "namespaces/layer_merge.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/layer_capture.h"

namespace namespaces_test {

namespace fs = std::filesystem;

// Real overlays of layers below one directory. The base layer is "base", which is never merged.
class LayerMergeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"base", "view", "work"}) fs::create_directories(directory_ / name);
  }
  void TearDown() override { fs::remove_all(directory_); }

  // The mounts of `body` are its thread's own.
  void with_mounts(const std::function<void()>& body) {
    std::thread thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      ASSERT_EQ(::chdir(directory_.c_str()), 0);
      body();
      ASSERT_EQ(::chdir("/"), 0);
    });
    thread.join();
  }
  // Runs `change` on what the layers (the uppermost first) show; the result is the layer `name`.
  void grow(const std::string& name,
            const std::vector<std::string>& layers,
            const std::function<void(const fs::path&)>& change) {
    fs::create_directory(directory_ / "upper");
    mount(layers, "upperdir=upper,workdir=work,redirect_dir=on,metacopy=off,");
    change(directory_ / "view");
    ASSERT_EQ(::umount2("view", 0), 0);
    capture(name);
    fs::remove_all(directory_ / ("upper-" + name));
    fs::rename(directory_ / "upper", directory_ / ("upper-" + name));
  }
  void capture(const std::string& name, const std::string& upper = "upper") {
    namespaces::CaptureReport report;
    namespaces::CaptureHistory history;
    auto captured = namespaces::capture_layer(directory_ / upper, directory_ / name,
                                              namespaces::IdRange(), report, history);
    ASSERT_TRUE(captured) << captured.error().message();
  }
  void mount(const std::vector<std::string>& layers, const std::string& options) {
    std::string lower;
    for (const auto& layer : layers) lower += (lower.empty() ? "" : ":") + layer;
    std::string all = options + "lowerdir=" + lower;
    ASSERT_EQ(::mount("overlay", "view", "overlay", 0, all.c_str()), 0) << all << " " << errno;
  }
  // Everything that can be seen of a stack, by path.
  std::map<std::string, std::string> view(std::vector<std::string> layers) {
    if (layers.size() == 1) layers.push_back("nothing");
    fs::create_directories(directory_ / "nothing");
    mount(layers, "redirect_dir=follow,metacopy=off,");
    std::map<std::string, std::string> seen;
    describe(directory_ / "view", seen);
    for (const auto& entry : fs::recursive_directory_iterator(directory_ / "view")) {
      describe(entry.path(), seen);
    }
    EXPECT_EQ(::umount2("view", 0), 0);
    return seen;
  }
  void describe(const fs::path& path, std::map<std::string, std::string>& seen) {
    struct stat info {};
    ASSERT_EQ(::lstat(path.c_str(), &info), 0) << path;
    std::string text = std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " " +
                       std::to_string(info.st_mtim.tv_sec) + "." +
                       std::to_string(info.st_mtim.tv_nsec);
    if (S_ISREG(info.st_mode)) text += " " + base::read_file(path).value_or("?");
    if (S_ISLNK(info.st_mode)) text += " " + fs::read_symlink(path).string();
    std::string note(64, '\0');
    ssize_t size = ::lgetxattr(path.c_str(), "user.note", note.data(), note.size());
    if (size > 0) text += " note " + note.substr(0, static_cast<std::size_t>(size));
    seen[path.lexically_relative(directory_ / "view")] = text;
  }
  base::Result<> merge(const std::string& target,
                       const std::vector<std::string>& lower,
                       const std::vector<std::string>& below) {
    std::vector<fs::path> paths;
    for (const auto& layer : lower) paths.push_back(directory_ / layer);
    std::vector<fs::path> rest;
    for (const auto& layer : below) rest.push_back(directory_ / layer);
    report_ = {};
    return namespaces::merge_layers(directory_ / target, paths, rest, report_);
  }
  static void write(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::app) << text;
  }

  fs::path directory_ = fs::temp_directory_path() / ("sandlot-merge-" + base::random_id(6));
  namespaces::MergeReport report_;
};

TEST_F(LayerMergeTest, WhiteoutsOpaqueAndMovedDirectoriesShowWhatTheyShowed) {
  for (const char* name : {"kept", "gone", "again", "moved/inner", "twice"}) {
    fs::create_directories(directory_ / "base" / name);
    write(directory_ / "base" / name / "of-base", name);
  }
  write(directory_ / "base/file", "base");
  with_mounts([&] {
    grow("one", {"base"}, [](const fs::path& root) {
      fs::remove_all(root / "gone");
      fs::remove_all(root / "again");
      fs::remove(root / "file");
      fs::create_directory(root / "again");
      write(root / "again/of-one", "1");
      fs::rename(root / "moved", root / "elsewhere");
      fs::rename(root / "twice", root / "twice-1");
      write(root / "twice-1/of-one", "1");
      fs::create_directory(root / "only-here");
      write(root / "only-here/a", "a");
      write(root / "only-here/b", "b");
      fs::create_hard_link(root / "only-here/b", root / "only-here/c");
    });
    grow("two", {"one", "base"}, [](const fs::path& root) {
      fs::remove(root / "only-here/a");
      fs::rename(root / "elsewhere/inner", root / "kept/inner");
      fs::rename(root / "twice-1", root / "kept/twice-2");
      write(root / "kept/twice-2/of-two", "2");
      write(root / "file", "two");
      fs::create_directory(root / "gone");
    });
    auto before = view({"two", "one", "base"});
    ASSERT_EQ(before.count("kept/twice-2/of-base"), 1U);
    auto merged = merge("two", {"one"}, {"base"});
    ASSERT_TRUE(merged) << merged.error().message();
    EXPECT_EQ(view({"two", "base"}), before);
    EXPECT_GE(report_.linked, 4U);
    struct stat one {};
    struct stat two {};
    ASSERT_EQ(::stat((directory_ / "one/only-here/b").c_str(), &one), 0);
    ASSERT_EQ(::stat((directory_ / "two/only-here/b").c_str(), &two), 0);
    EXPECT_EQ(one.st_ino, two.st_ino) << "nothing is copied";
    EXPECT_EQ(view({"one", "base"}).count("kept/inner"), 0U) << "the lower layer is as it was";
  });
}

// What somebody does to a tree, at random; what the kernel refuses is left.
class Vandal {
 public:
  Vandal(fs::path root, std::mt19937& random) : root_(std::move(root)), random_(random) {}
  void act() {
    std::error_code ignored;
    fs::path one = pick();
    fs::path other = pick_directory() / name();
    switch (random_() % 11) {
      case 0:
      case 1:
        write(other);
        break;
      case 2:
        if (fs::is_regular_file(fs::symlink_status(one))) write(one);
        break;
      case 3:
        if (one != root_) fs::remove_all(one, ignored);
        break;
      case 4:
        fs::create_directories(other / name(), ignored);
        break;
      case 5:
      case 6:
      case 7:
        if (one != root_) fs::rename(one, other, ignored);
        break;
      case 8:
        fs::create_symlink("/" + name(), other, ignored);
        break;
      case 9:
        fs::create_hard_link(one, other, ignored);
        break;
      case 10:
        if (one == root_ || fs::is_symlink(one)) break;
        fs::permissions(one, fs::perms(0700 + random_() % 64), ignored);
        ::lsetxattr(one.c_str(), "user.note", "noted", 5, 0);
        break;
    }
  }

 private:
  // Few names, so that they meet.
  std::string name() { return std::string(1, static_cast<char>('a' + random_() % 6)); }
  void write(const fs::path& file) { std::ofstream(file, std::ios::app) << random_() % 10; }
  fs::path pick() {
    std::vector<fs::path> all = {root_};
    for (const auto& entry : fs::recursive_directory_iterator(root_)) all.push_back(entry.path());
    return all[random_() % all.size()];
  }
  fs::path pick_directory() {
    for (;;) {
      fs::path path = pick();
      if (fs::is_directory(fs::symlink_status(path))) return path;
    }
  }
  fs::path root_;
  std::mt19937& random_;
};

TEST_F(LayerMergeTest, AnyStackCanBeMergedAtAnyDepth) {
  const char* wanted = std::getenv("SANDLOT_MERGE_SEED");
  auto seed = wanted == nullptr ? std::random_device()()
                                : static_cast<unsigned>(std::strtoul(wanted, nullptr, 10));
  std::cout << "SANDLOT_MERGE_SEED=" << seed << "\n";
  std::mt19937 random(seed);
  with_mounts([&] {
    Vandal first(directory_ / "base", random);
    for (int i = 0; i < 60; ++i) first.act();
    std::vector<std::string> layers = {"base"};
    for (int depth = 1; depth <= 12 && !HasFatalFailure(); ++depth) {
      std::string name = "layer-" + std::to_string(depth);
      grow(name, layers, [&](const fs::path& root) {
        Vandal vandal(root, random);
        for (int i = 0; i < 25; ++i) vandal.act();
      });
      layers.insert(layers.begin(), name);
      auto shown = view(layers);
      auto next = layers;
      // All of them into one, or some with others below.
      for (std::size_t count : {layers.size() - 2, random() % (layers.size() - 1)}) {
        std::string target = name + "-merged-" + std::to_string(count);
        if (fs::exists(directory_ / target)) continue;
        capture(target, "upper-" + name);
        std::vector<std::string> lower(layers.begin() + 1,
                                       layers.begin() + 1 + static_cast<std::ptrdiff_t>(count));
        std::vector<std::string> rest(layers.begin() + 1 + static_cast<std::ptrdiff_t>(count),
                                      layers.end());
        auto merged = merge(target, lower, rest);
        ASSERT_TRUE(merged) << merged.error().message();
        rest.insert(rest.begin(), target);
        ASSERT_EQ(view(rest), shown) << target;
        if (random() % 6 == 0) next = rest;
      }
      layers = next;  // what was merged is as good as the rest
    }
  });
}

}  // namespace namespaces_test
