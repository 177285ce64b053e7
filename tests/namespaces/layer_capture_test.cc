#include "namespaces/layer_capture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "namespaces/layer_attributes.h"

namespace namespaces_test {

namespace fs = std::filesystem;
using namespaces::IdRange;

constexpr IdRange kIds{1U << 28U, 65536};

class LayerCaptureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(from_);
    ::chown(from_.c_str(), kIds.first, kIds.first);
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name,
             const std::string& text,
             uid_t inner = 0,
             mode_t mode = 0644) {
    std::ofstream(from_ / name) << text;
    ::chown((from_ / name).c_str(), kIds.first + inner, kIds.first + inner);
    ::chmod((from_ / name).c_str(), mode);
  }
  base::Result<> capture() {
    report_ = {};
    return namespaces::capture_layer(from_, into_, kIds, report_, history_);
  }
  struct stat stat_of(const std::string& name) {
    struct stat info {};
    EXPECT_EQ(::lstat((into_ / name).c_str(), &info), 0) << name;
    return info;
  }
  std::string text_of(const std::string& name) {
    return base::read_file(into_ / name).value_or("(unreadable)");
  }
  std::string attribute(const fs::path& path, const char* name) {
    std::string value(256, '\0');
    ssize_t size = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    value.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return value;
  }

  fs::path directory_ = fs::temp_directory_path() / ("sandlot-capture-" + base::random_id(6));
  fs::path from_ = directory_ / "upper";
  fs::path into_ = directory_ / "layer";
  namespaces::CaptureReport report_;
  namespaces::CaptureHistory history_;
};

TEST_F(LayerCaptureTest, OwnersModesAndTimesAreThoseOfATemplate) {
  write("tool", "#!", 0, 04755);
  write("mine", "x", 1000, 0600);
  fs::create_directory(from_ / "sticky");
  ::chown((from_ / "sticky").c_str(), kIds.first + 5, kIds.first + 6);
  ::chmod((from_ / "sticky").c_str(), 01777);
  timespec old[2] = {{1000000000, 1}, {1100000000, 123456789}};
  ::utimensat(AT_FDCWD, (from_ / "mine").c_str(), old, 0);
  ::utimensat(AT_FDCWD, (from_ / "sticky").c_str(), old, 0);
  ASSERT_TRUE(capture());
  EXPECT_EQ(stat_of("tool").st_mode, S_IFREG | 04755);
  EXPECT_EQ(stat_of("tool").st_uid, 0U);
  EXPECT_EQ(stat_of("mine").st_uid, 1000U);
  EXPECT_EQ(stat_of("mine").st_mode, S_IFREG | 0600);
  EXPECT_EQ(stat_of("mine").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(stat_of("sticky").st_mode, S_IFDIR | 01777);
  EXPECT_EQ(stat_of("sticky").st_gid, 6U);
  EXPECT_EQ(stat_of("sticky").st_mtim.tv_sec, 1100000000);
  EXPECT_EQ(stat_of("").st_uid, 0U);
}

TEST_F(LayerCaptureTest, AnOwnerThatIsNotTheSandboxsBecomesNobody) {
  write("foreign", "x");
  ::chown((from_ / "foreign").c_str(), 0, kIds.first + 65536);
  ASSERT_TRUE(capture());
  EXPECT_EQ(stat_of("foreign").st_uid, 65534U);
  EXPECT_EQ(stat_of("foreign").st_gid, 65534U);
}

TEST_F(LayerCaptureTest, WhatOverlayfsSaysOfDirectoriesStaysAndItsInodeNotesGo) {
  fs::create_directory(from_ / "again");
  for (auto [name, value] :
       {std::pair("trusted.overlay.opaque", "y"), std::pair("trusted.overlay.redirect", "/old"),
        std::pair("trusted.overlay.origin", "handle"), std::pair("trusted.overlay.impure", "y"),
        std::pair("user.note", "kept")}) {
    ASSERT_EQ(::lsetxattr((from_ / "again").c_str(), name, value, std::strlen(value), 0), 0)
        << name;
  }
  ASSERT_EQ(::mknod((from_ / "gone").c_str(), S_IFCHR, 0), 0);
  ASSERT_EQ(::link((from_ / "gone").c_str(), (from_ / "gone-too").c_str()), 0);
  ASSERT_TRUE(capture());
  EXPECT_EQ(attribute(into_ / "again", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(attribute(into_ / "again", "trusted.overlay.redirect"), "/old");
  EXPECT_EQ(attribute(into_ / "again", "user.note"), "kept");
  EXPECT_EQ(attribute(into_ / "again", "trusted.overlay.origin"), "");
  EXPECT_EQ(attribute(into_ / "again", "trusted.overlay.impure"), "");
  for (const char* name : {"gone", "gone-too"}) {
    EXPECT_TRUE(S_ISCHR(stat_of(name).st_mode));
    EXPECT_EQ(stat_of(name).st_rdev, 0U);
  }
}

TEST_F(LayerCaptureTest, HardLinksStayLinksAndAreCopiedOnce) {
  fs::create_directory(from_ / "a");
  write("a/one", "same");
  fs::create_hard_link(from_ / "a/one", from_ / "two");
  ASSERT_TRUE(capture());
  EXPECT_EQ(stat_of("a/one").st_ino, stat_of("two").st_ino);
  EXPECT_EQ(stat_of("two").st_nlink, 2U);
  EXPECT_EQ(text_of("two"), "same");
  EXPECT_EQ(report_.files, 1U);
}

TEST_F(LayerCaptureTest, HolesStayHoles) {
  {
    auto fd = base::open_file(from_ / "sparse", O_WRONLY | O_CREAT);
    ASSERT_TRUE(fd);
    ASSERT_EQ(::pwrite(fd->get(), "begin", 5, 0), 5);
    ASSERT_EQ(::pwrite(fd->get(), "end", 3, 1 << 30), 3);
    ASSERT_EQ(::ftruncate(fd->get(), (1 << 30) + (1 << 20)), 0);
  }
  ASSERT_TRUE(capture());
  EXPECT_EQ(stat_of("sparse").st_size, (1 << 30) + (1 << 20));
  EXPECT_LT(stat_of("sparse").st_blocks * 512, 1 << 20);
  EXPECT_LT(report_.copied_bytes, 1U << 20U);
  auto fd = base::open_file(into_ / "sparse", O_RDONLY);
  char text[4] = {};
  EXPECT_EQ(::pread(fd->get(), text, 3, 1 << 30), 3);
  EXPECT_STREQ(text, "end");
}

TEST_F(LayerCaptureTest, SymlinksAndFifosAreKeptSocketsAndDevicesAreNot) {
  fs::create_symlink("/etc/passwd", from_ / "link");
  ::lchown((from_ / "link").c_str(), kIds.first + 1000, kIds.first + 1000);
  ASSERT_EQ(::mkfifo((from_ / "pipe").c_str(), 0620), 0);
  ::chown((from_ / "pipe").c_str(), kIds.first, kIds.first);
  ::chmod((from_ / "pipe").c_str(), 0620);
  ASSERT_EQ(::mknod((from_ / "disk").c_str(), S_IFBLK | 0600, 0x100), 0);
  ASSERT_EQ(::mknod((from_ / "null").c_str(), S_IFCHR | 0600, 0x103), 0);
  ASSERT_EQ(::mknod((from_ / "socket").c_str(), S_IFSOCK | 0600, 0), 0);
  ASSERT_TRUE(capture());
  EXPECT_EQ(fs::read_symlink(into_ / "link"), "/etc/passwd");
  EXPECT_EQ(stat_of("link").st_uid, 1000U);
  EXPECT_EQ(stat_of("pipe").st_mode, S_IFIFO | 0620);
  for (const char* name : {"disk", "null", "socket"}) {
    EXPECT_FALSE(fs::exists(fs::symlink_status(into_ / name))) << name;
  }
}

TEST_F(LayerCaptureTest, FileCapabilitiesBelongToTheTemplatesRoot) {
  write("ping", "x");
  vfs_ns_cap_data capability{};
  capability.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE;
  capability.data[0].permitted = 1U << CAP_NET_RAW;
  capability.rootid = kIds.first;
  std::string value(reinterpret_cast<const char*>(&capability), XATTR_CAPS_SZ_3);
  ASSERT_TRUE(namespaces::translate_attribute("security.capability", value, kIds));
  ASSERT_EQ(value.size(), XATTR_CAPS_SZ_2);
  std::uint32_t magic = 0;
  std::memcpy(&magic, value.data(), sizeof magic);
  EXPECT_EQ(magic, VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE);
  if (::setxattr((from_ / "ping").c_str(), "security.capability", &capability, XATTR_CAPS_SZ_3,
                 0) != 0) {
    GTEST_SKIP() << "no file capabilities here";
  }
  ASSERT_TRUE(capture());
  EXPECT_EQ(attribute(into_ / "ping", "security.capability"), value);
}

TEST_F(LayerCaptureTest, TooDeepATreeIsRefusedAndADeepOneIsNot) {
  auto dig = [&](int levels) {
    int at = ::open(from_.c_str(), O_PATH | O_DIRECTORY);
    for (int depth = 0; depth < levels; ++depth) {
      ASSERT_EQ(::mkdirat(at, "d", 0700), 0);
      int below = ::openat(at, "d", O_PATH | O_DIRECTORY);
      ::close(at);
      at = below;
    }
    ::close(at);
  };
  dig(400);
  ASSERT_TRUE(capture());
  fs::remove_all(into_);
  fs::remove_all(from_ / "d");
  dig(namespaces::kDeepestTree + 1);
  auto captured = capture();
  ASSERT_FALSE(captured);
  EXPECT_EQ(captured.error().code(), base::Errc::kFailedPrecondition);
}

TEST_F(LayerCaptureTest, AFullDiskIsSaidToBeOne) {
  write("large", std::string(2U << 20U, 'x'));
  fs::path small = directory_ / "small";
  fs::create_directory(small);
  ASSERT_EQ(::mount("sandlot-test", small.c_str(), "tmpfs", 0, "size=1m"), 0);
  into_ = small / "layer";
  auto captured = capture();
  ::umount2(small.c_str(), MNT_DETACH);
  ASSERT_FALSE(captured);
  EXPECT_EQ(captured.error().code(), base::Errc::kNoSpace);
}

TEST_F(LayerCaptureTest, WhatHasNotChangedSinceTheLastCaptureIsNotCopiedAgain) {
  constexpr std::size_t kSize = 64U << 10U;
  write("same", std::string(kSize, 's'));
  write("mapped", std::string(kSize, 'm'));
  write("written", std::string(kSize, 'w'));
  write("owner", std::string(kSize, 'o'));
  auto fd = base::open_file(from_ / "mapped", O_RDWR);
  auto* mapped =
      static_cast<char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0));
  ASSERT_NE(mapped, MAP_FAILED);
  mapped[0] = '1';
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  history_.can_share = false;  // as on ext4, whatever is below /tmp
  into_ = directory_ / "first";
  ASSERT_TRUE(capture());
  EXPECT_EQ(report_.copied_bytes, 4 * kSize);
  into_ = directory_ / "second";
  ASSERT_TRUE(capture());
  EXPECT_EQ(report_.copied_bytes, 4 * kSize) << "nothing was written out before";
  mapped[1] = '2';
  std::ofstream(from_ / "written", std::ios::in) << "changed";
  ::chmod((from_ / "owner").c_str(), 0600);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  into_ = directory_ / "third";
  ASSERT_TRUE(capture());
  EXPECT_EQ(report_.shared_bytes, kSize);
  EXPECT_EQ(report_.copied_bytes, 3 * kSize);
  EXPECT_EQ(text_of("mapped").substr(0, 3), "12m");
  EXPECT_EQ(text_of("written").substr(0, 8), "changedw");
  EXPECT_EQ(stat_of("owner").st_mode & 07777U, 0600U);
  EXPECT_EQ(stat_of("same").st_nlink, 2U);
  EXPECT_EQ(stat_of("same").st_uid, 0U);
  // The layer that has the files may go.
  fs::remove_all(into_);
  into_ = directory_ / "fourth";
  ASSERT_TRUE(capture());
  EXPECT_EQ(report_.copied_bytes, 4 * kSize);
  EXPECT_EQ(text_of("same"), std::string(kSize, 's'));
  ::munmap(mapped, kSize);
}

// An XFS file system in an image of its own, where this kernel and the tools have one.
TEST_F(LayerCaptureTest, WhereTheFileSystemCanNothingIsCopied) {
  fs::path image = directory_ / "image";
  fs::path disk = directory_ / "disk";
  fs::create_directory(disk);
  std::string make = "truncate -s 320M " + image.string() + " && mkfs.xfs -q " + image.string() +
                     " && mount -o loop " + image.string() + " " + disk.string();
  if (std::system((make + " 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no XFS here";
  from_ = disk / "upper";
  into_ = disk / "layer";
  fs::create_directory(from_);
  write("large", std::string(8U << 20U, 'x'));
  auto captured = capture();
  EXPECT_TRUE(captured);
  EXPECT_EQ(report_.copied_bytes, 0U);
  EXPECT_EQ(report_.shared_bytes, 8U << 20U);
  EXPECT_EQ(text_of("large").size(), 8U << 20U);
  // What is written afterwards stays outside.
  std::ofstream(from_ / "large", std::ios::in) << "changed";
  EXPECT_EQ(text_of("large").substr(0, 7), "xxxxxxx");
  history_ = {};  // lets go of the layer
  ::umount2(disk.c_str(), MNT_DETACH);
}

}  // namespace namespaces_test
