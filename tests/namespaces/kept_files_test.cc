// Files that outlive their container: the next one of the same id goes on with them, whoever has
// them.
#include "namespaces/kept_files.h"

#include <gmock/gmock.h>

#include "emulator/base/posix.h"
#include "namespaces/instance.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using base::Errc;
namespace fs = std::filesystem;

TEST_F(RuntimeTest, AnotherContainerGoesOnWithTheFilesOfOneThatEnded) {
  auto container = start("kept");
  ASSERT_TRUE(container);
  auto made = run_in(*container, 0,
                     "echo text > /etc/mine && chown 1000:1000 /etc/mine && rm /usr/bin/env && "
                     "cp /bin/true /usr/bin/own && chmod 4711 /usr/bin/own");
  ASSERT_EQ(made.status, 0) << made.text;
  std::string boot = run_in(*container, 0, "cat /proc/sys/kernel/random/boot_id").text;
  ASSERT_TRUE(await(container->end()));
  EXPECT_EQ(cgroups_of("kept"), 0U);
  container.reset();
  drain();
  ASSERT_TRUE(fs::exists(upper("kept")));

  // A start that fails leaves them.
  auto again = spec("kept");
  again.existing_files = true;
  auto broken = again;
  broken.rootfs.root_layers = {"/nowhere"};
  EXPECT_FALSE(await(runtime_->create(broken)));
  ASSERT_TRUE(fs::exists(upper("kept")));

  auto second = await(runtime_->create(again));
  ASSERT_TRUE(second) << second.error().message();
  auto seen = run_in(
      **second, 0,
      "cat /etc/mine; stat -c '%u %a' /etc/mine /usr/bin/own; test -e /usr/bin/env; echo $?; "
      "echo more >> /etc/mine && cat /etc/mine | wc -l");
  EXPECT_EQ(seen.text, "text\n1000 644\n0 4711\n1\n2\n");
  EXPECT_NE(run_in(**second, 0, "cat /proc/sys/kernel/random/boot_id").text, boot);
  // It is a container like any other now: its files go with it.
  second->reset();
  drain();
  EXPECT_FALSE(fs::exists(upper("kept")));
}

TEST_F(RuntimeTest, FilesThatNobodyWantsAreDiscarded) {
  auto container = start("kept");
  ASSERT_TRUE(container);
  ASSERT_TRUE(await(container->end()));
  container.reset();
  drain();
  runtime_->discard_files("kept");
  runtime_->discard_files("never");
  drain();
  EXPECT_FALSE(fs::exists(upper("kept").parent_path()));
  auto again = spec("kept");
  again.existing_files = true;
  auto refused = await(runtime_->create(again));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kNotFound) << refused.error().message();
}

TEST_F(RuntimeTest, EveryContainerHasABootIdOfItsOwnThatNobodyCanChange) {
  auto first = start("first");
  auto second = start("second");
  ASSERT_TRUE(first && second);
  const char* read = "cat /proc/sys/kernel/random/boot_id";
  std::string boot = run_in(*first, 0, read).text;
  EXPECT_EQ(boot.size(), 37U);
  EXPECT_NE(boot, run_in(*second, 0, read).text);
  EXPECT_NE(boot, base::read_file("/proc/sys/kernel/random/boot_id").value_or(""));
  EXPECT_NE(run_in(*first, 0, "echo x > /proc/sys/kernel/random/boot_id").status, 0);
  EXPECT_NE(run_in(*first, 0, "umount /proc/sys/kernel/random/boot_id").status, 0);
  EXPECT_EQ(run_in(*first, 0, "ls -A /dev | grep '^[.]'").text, "");
  EXPECT_EQ(run_in(*first, 1000, read).text, boot);
}

class KeptFilesTest : public ::testing::Test {
 protected:
  KeptFilesTest() {
    std::string pattern = "/tmp/sandlot-kept-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    data_ = pattern;
    fs::create_directories(places() / "mine01");
    make("dead01", false);
    make("live01", true);
  }
  ~KeptFilesTest() override { fs::remove_all(data_); }
  fs::path places() const { return data_ / "sandboxes"; }
  void make(const std::string& instance, bool alive) {
    fs::create_directories(places() / instance);
    auto record = *namespaces::record_of_this_process();
    if (!alive) record.start_time += 1;
    ASSERT_TRUE(namespaces::write_instance_record(places() / instance, record));
  }
  fs::path data_;
};

TEST_F(KeptFilesTest, AreFoundWithWhoeverHasThem) {
  fs::create_directories(places() / "dead01/a/upper");
  fs::create_directories(places() / "dead01/b/upper");
  EXPECT_TRUE(namespaces::adopt_files(data_, "mine01", "a"));
  EXPECT_TRUE(fs::exists(places() / "mine01/a/upper"));
  EXPECT_TRUE(fs::exists(places() / "dead01/instance")) << "there is more";
  EXPECT_TRUE(namespaces::adopt_files(data_, "mine01", "b"));
  EXPECT_FALSE(fs::exists(places() / "dead01"));
  EXPECT_TRUE(namespaces::adopt_files(data_, "mine01", "b")) << "has them already";
  EXPECT_EQ(namespaces::adopt_files(data_, "mine01", "c").error().code(), Errc::kNotFound);
}

TEST_F(KeptFilesTest, KeepTheDirectoryOfTheirInstanceWhenItEnds) {
  fs::create_directories(places() / "live01/a/upper");
  EXPECT_FALSE(namespaces::remove_instance_files(data_, "live01"));
  EXPECT_TRUE(fs::exists(places() / "live01/instance"));
  fs::remove_all(places() / "live01/a");
  EXPECT_TRUE(namespaces::remove_instance_files(data_, "live01"));
  EXPECT_FALSE(fs::exists(places() / "live01"));
}

TEST_F(KeptFilesTest, AnInstanceIsLiveByItsRecord) {
  EXPECT_TRUE(namespaces::is_live_instance(data_, "live01"));
  EXPECT_FALSE(namespaces::is_live_instance(data_, "dead01"));
  EXPECT_FALSE(namespaces::is_live_instance(data_, "mine01")) << "no record";
}

}  // namespace namespaces_test
