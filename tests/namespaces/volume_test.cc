// Volumes in the kernel: images that hold their size, mounts into running sandboxes and out again.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include <gmock/gmock.h>

#include "emulator/base/posix.h"
#include "namespaces/volume_image.h"
#include "namespaces/volume_mount.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using base::Errc;

namespace {

constexpr std::uint64_t kMiB = 1U << 20U;

namespaces::SandboxPlace place_of(const namespaces::Container& container) {
  return {container.pid(), container.pidfd()};
}

// Runs `work` on a thread with a mount namespace of its own.
template <class F>
void on_own_mounts(F work) {
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::system("mount --make-rprivate /"), 0);  // NOLINT(concurrency-mt-unsafe): a test
    work();
  }).join();
}

// The loop device of a file, or "".
std::string loop_of(const fs::path& file) {
  std::error_code ignored;
  for (const auto& device : fs::directory_iterator("/sys/block", ignored)) {
    auto backing = base::read_file(device.path() / "loop/backing_file");
    if (backing && backing->find(file.filename().string()) != std::string::npos) {
      return device.path().filename();
    }
  }
  return "";
}

bool loop_goes(const fs::path& file) {
  for (int i = 0; i < 300 && !loop_of(file).empty(); ++i) ::usleep(10000);
  return loop_of(file).empty();
}

}  // namespace

class VolumeTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    source_ = directory_ / "volume";
    fs::create_directory(source_);
    ::chmod(source_.c_str(), 0777);
    root_ = base::UniqueFd(::open(source_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    image_ = directory_ / ("image-" + instance_);
  }
  base::Result<namespaces::MountId> mount(const namespaces::Container& container,
                                          const std::string& path) {
    return namespaces::mount_into(place_of(container), root_.get(), path);
  }
  fs::path source_;
  base::UniqueFd root_;
  fs::path image_;
};

TEST_F(VolumeTest, ADirectoryAppearsWithItsOwnersAndGoesAgain) {
  auto container = start("vol");
  ASSERT_TRUE(container);
  auto id = mount(*container, "/new/deep/place");
  ASSERT_TRUE(id) << id.error().message();
  run_in(*container, 1000, "echo user > /new/deep/place/u");
  run_in(*container, 0, "echo root > /new/deep/place/r");
  struct stat info {};
  ASSERT_EQ(::stat((source_ / "u").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  ASSERT_EQ(::stat((source_ / "r").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
  EXPECT_EQ(run_in(*container, 0, "stat -c %u:%g /new /new/deep /new/deep/place/u").text,
            "0:0\n0:0\n1000:1000\n");
  ASSERT_TRUE(namespaces::unmount_from(place_of(*container), *id, false));
  EXPECT_EQ(run_in(*container, 0, "ls -A /new/deep/place").text, "");
  EXPECT_TRUE(namespaces::unmount_from(place_of(*container), *id, false)) << "idempotent";
}

TEST_F(VolumeTest, TwoSandboxesSeeOneAnothersFiles) {
  auto one = start("one");
  auto two = start("two");
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(mount(*one, "/v"));
  ASSERT_TRUE(mount(*two, "/v"));
  run_in(*one, 1000, "echo hello > /v/x");
  EXPECT_EQ(run_in(*two, 1000, "cat /v/x && rm /v/x && ls /v").text, "hello\n");
}

TEST_F(VolumeTest, ABusyOneGoesByForceOnly) {
  auto container = start("busy");
  ASSERT_TRUE(container);
  auto id = mount(*container, "/v");
  ASSERT_TRUE(id);
  run_in(*container, 0, "cd /v && (exec sleep 100 > /dev/null 2>&1 &)");
  auto refused = namespaces::unmount_from(place_of(*container), *id, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kConflict);
  EXPECT_TRUE(namespaces::mounts_of(place_of(*container))->contains(*id));
  ASSERT_TRUE(namespaces::unmount_from(place_of(*container), *id, true));
  EXPECT_FALSE(namespaces::mounts_of(place_of(*container))->contains(*id));
}

TEST_F(VolumeTest, NothingButTheVolumeIsUnmountedWhateverItsNameBecame) {
  auto container = start("hostile");
  ASSERT_TRUE(container);
  auto before = namespaces::mounts_of(place_of(*container));
  auto id = mount(*container, "/a/sys");
  ASSERT_TRUE(id);
  // The name under which it was mounted leads to a protected part of the sandbox now.
  run_in(*container, 0, "mv /a /b && ln -s /proc /a");
  ASSERT_TRUE(namespaces::unmount_from(place_of(*container), *id, false));
  EXPECT_EQ(*namespaces::mounts_of(place_of(*container)), *before);
  EXPECT_EQ(run_in(*container, 0, "ls -A /b/sys; touch /proc/sys/x 2> /dev/null; echo $?").text,
            "1\n");
}

TEST_F(VolumeTest, WhatIsNoDirectoryIsNoPlace) {
  auto container = start("file");
  ASSERT_TRUE(container);
  run_in(*container, 0, "touch /file && ln -s /nowhere /dangling && ln -s /l /l");
  for (const char* path : {"/file", "/file/x", "/dangling", "/l"}) {
    auto refused = mount(*container, path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code(), Errc::kInvalidArgument) << refused.error().message();
  }
  EXPECT_EQ(
      run_in(*container, 0, "ls -d /nowhere 2>&1 | wc -l; grep -c ' /file' /proc/mounts").text,
      "1\n0\n");
}

TEST_F(VolumeTest, ASandboxThatHasEndedIsSaidToBeGone) {
  auto container = start("gone");
  ASSERT_TRUE(container);
  ASSERT_TRUE(await(container->kill()));
  auto refused = mount(*container, "/v");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kNotFound);
}

TEST_F(VolumeTest, AFrozenSandboxCanBeGivenOne) {
  auto container = start("frozen");
  ASSERT_TRUE(container);
  ASSERT_TRUE(await(container->freeze()));
  auto id = mount(*container, "/v");
  EXPECT_TRUE(id);
  ASSERT_TRUE(await(container->thaw()));
  EXPECT_EQ(run_in(*container, 1000, "touch /v/x && ls /v").text, "x\n");
}

TEST_F(VolumeTest, AnImageHoldsItsSizeAndGrowsWhenUnmounted) {
  if (!namespaces::LoopDevice::available()) GTEST_SKIP() << "no loop devices";
  auto made = namespaces::make_image(image_, 64 * kMiB, 100);
  ASSERT_TRUE(made) << made.error().message();
  struct stat info {};
  ASSERT_EQ(::stat(image_.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(64 * kMiB));
  EXPECT_LT(info.st_blocks * 512, static_cast<off_t>(11 * kMiB)) << "sparse but for its own";
  fs::path scratch = directory_ / "scratch";
  fs::create_directory(scratch);
  auto size_of = [&](const fs::path& point) {
    struct statfs figures {};
    EXPECT_EQ(::statfs(point.c_str(), &figures), 0);
    return figures.f_blocks * static_cast<std::uint64_t>(figures.f_bsize);
  };
  on_own_mounts([&] {
    {
      auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
      ASSERT_TRUE(mounted) << mounted.error().message();
      EXPECT_LE(size_of(mounted->point()), 64 * kMiB);
      std::ofstream(mounted->point() / "file") << "kept";
      // Nobody can mount it a second time meanwhile.
      auto second = namespaces::open_locked(image_, O_RDWR, true, 50);
      ASSERT_FALSE(second);
      EXPECT_EQ(second.error().code(), Errc::kConflict);
      auto online = mounted->grow(image_, 96 * kMiB);
      if (online) {
        EXPECT_GT(size_of(mounted->point()), 80 * kMiB);
      } else {
        EXPECT_EQ(online.error().code(), Errc::kPermissionDenied) << online.error().message();
      }
    }
    auto grown = namespaces::grow_unmounted_image(image_, 128 * kMiB);
    ASSERT_TRUE(grown) << grown.error().message();
    auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
    ASSERT_TRUE(mounted) << mounted.error().message();
    EXPECT_GT(size_of(mounted->point()), 110 * kMiB);
    EXPECT_EQ(*base::read_file(mounted->point() / "file"), "kept");
  });
  EXPECT_TRUE(loop_goes(image_)) << loop_of(image_);
}

TEST_F(VolumeTest, AFullDiskRefusesWhatIsNewAndKeepsWhatWasSynced) {
  if (!namespaces::LoopDevice::available()) GTEST_SKIP() << "no loop devices";
  fs::path disk = directory_ / "disk";
  fs::path scratch = directory_ / "scratch";
  for (const fs::path& made : {disk, scratch}) fs::create_directory(made);
  on_own_mounts([&] {
    ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", 0, "size=24m"), 0);
    image_ = disk / image_.filename();
    ASSERT_TRUE(namespaces::make_image(image_, 64 * kMiB, 100));
    auto write_synced = [](const fs::path& file, std::size_t size) {
      base::UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      return base::write_all(fd.get(), std::string(size, 'x')) && ::fsync(fd.get()) == 0;
    };
    fs::path filler = disk / "filler";
    {
      auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
      ASSERT_TRUE(mounted) << mounted.error().message();
      ASSERT_TRUE(write_synced(mounted->point() / "kept", kMiB));
      write_synced(filler, 24 * kMiB);
      EXPECT_FALSE(write_synced(mounted->point() / "new", kMiB));
      auto grown = mounted->grow(image_, 96 * kMiB);
      ASSERT_FALSE(grown);
      EXPECT_EQ(grown.error().code(), Errc::kNoSpace) << grown.error().message();
      // When there is room again, what is synced is there.
      fs::remove(filler);
      EXPECT_TRUE(write_synced(mounted->point() / "new", kMiB));
      write_synced(filler, 24 * kMiB);
    }
    ASSERT_TRUE(loop_goes(image_)) << loop_of(image_);
    auto grown = namespaces::grow_unmounted_image(image_, 96 * kMiB);
    ASSERT_FALSE(grown);
    EXPECT_EQ(grown.error().code(), Errc::kNoSpace) << grown.error().message();
    EXPECT_EQ(fs::file_size(image_), 64 * kMiB);
    EXPECT_EQ(namespaces::make_image(disk / "another", 64 * kMiB, 100).error().code(),
              Errc::kNoSpace);
    fs::remove(filler);
    {
      auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
      ASSERT_TRUE(mounted) << mounted.error().message();
      for (const char* name : {"kept", "new"}) {
        EXPECT_TRUE(*base::read_file(mounted->point() / name) == std::string(kMiB, 'x')) << name;
      }
      EXPECT_TRUE(write_synced(mounted->point() / "again", kMiB));
    }
    EXPECT_TRUE(loop_goes(image_)) << loop_of(image_);
    auto now = namespaces::grow_unmounted_image(image_, 96 * kMiB);
    EXPECT_TRUE(now) << now.error().message();
  });
}

TEST_F(VolumeTest, AnErrorThatTheKernelNotedIsMendedBeforeTheNextMount) {
  if (!namespaces::LoopDevice::available()) GTEST_SKIP() << "no loop devices";
  fs::path scratch = directory_ / "scratch";
  fs::create_directory(scratch);
  ASSERT_TRUE(namespaces::make_image(image_, 64 * kMiB, 100));
  // As the kernel notes it: "not clean, with errors". The tools take a wrong checksum with it.
  constexpr off_t kState = 1024 + 0x3a;
  std::uint16_t state = 2;
  base::UniqueFd file(::open(image_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::system(("debugfs -w -R 'set_super_value state 2' " + image_.string() +  // NOLINT
                      " 2>/dev/null")
                         .c_str()),
            0);
  ASSERT_EQ(::pread(file.get(), &state, sizeof state, kState), 2);
  ASSERT_EQ(state, 2);
  on_own_mounts([&] {
    auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
    ASSERT_TRUE(mounted) << mounted.error().message();
  });
  EXPECT_TRUE(loop_goes(image_)) << loop_of(image_);
  ASSERT_EQ(::pread(file.get(), &state, sizeof state, kState), 2);
  EXPECT_EQ(state, 1);
}

TEST_F(VolumeTest, AnImageAndItsDeviceGoWithTheLastSandbox) {
  if (!namespaces::LoopDevice::available()) GTEST_SKIP() << "no loop devices";
  ASSERT_TRUE(namespaces::make_image(image_, 64 * kMiB, 100));
  fs::path scratch = directory_ / "scratch";
  fs::create_directory(scratch);
  auto container = start("image");
  ASSERT_TRUE(container);
  on_own_mounts([&] {
    auto mounted = namespaces::MountedImage::mount(image_, scratch, "v");
    ASSERT_TRUE(mounted) << mounted.error().message();
    base::UniqueFd root(::open(mounted->point().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::fchmod(root.get(), 0777), 0);
    auto id = namespaces::mount_into(place_of(*container), root.get(), "/v");
    ASSERT_TRUE(id) << id.error().message();
  });
  auto full = run_in(*container, 1000, "head -c 100M /dev/zero > /v/big");
  EXPECT_NE(full.status, 0);
  EXPECT_THAT(full.text, HasSubstr("No space left on device"));
  EXPECT_NE(loop_of(image_), "");
  container.reset();
  drain();
  EXPECT_TRUE(loop_goes(image_)) << loop_of(image_);
}

}  // namespace namespaces_test
