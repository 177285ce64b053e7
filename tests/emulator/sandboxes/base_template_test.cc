#include "emulator/sandboxes/base_template.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "tests/emulator/sandboxes/chroot_world.h"

namespace emulator::sandboxes {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// One derived template for all tests that only look; each test has its own upper layer.
class BaseTemplateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    directory_ = fs::path("/var/tmp") / ("sandlot-test-" + base::random_id(8));
    const auto before = std::chrono::steady_clock::now();
    auto made = derive_base_template(directory_ / "base");
    build_time_ = std::chrono::steady_clock::now() - before;
    ASSERT_TRUE(made) << made.error().message();
    base_ = *made;
    world_ = std::make_unique<ChrootWorld>(base_, directory_ / "scratch");
  }
  void TearDown() override {
    std::error_code error;
    if (!directory_.empty()) fs::remove_all(directory_, error);
  }
  std::string out(const std::string& script, unsigned uid = 1000) {
    const Outcome outcome = world_->run(script, uid);
    EXPECT_EQ(outcome.status, 0) << script << "\n" << outcome.output;
    return outcome.output;
  }

  fs::path directory_;
  BaseTemplate base_;
  std::chrono::steady_clock::duration build_time_{};
  std::unique_ptr<ChrootWorld> world_;
};

TEST_F(BaseTemplateTest, ALoginShellRunsAsUserInItsHome) {
  EXPECT_EQ(out("id -un; pwd; echo $SHELL; hostname"), "user\n/home/user\n/bin/bash\ne2b.local\n");
}

TEST_F(BaseTemplateTest, TheHomeHoldsTheSkeletonAndNothingElse) {
  EXPECT_EQ(out("ls -A"), ".bash_logout\n.bashrc\n.profile\n");
  EXPECT_EQ(out("stat -c '%A %U %G' .bashrc"), "-rw-r--r-- user user\n");
  EXPECT_EQ(out("ls -A /home; stat -c '%a %U' /root", 0), "user\n700 root\n");
}

TEST_F(BaseTemplateTest, SudoNeedsNoPasswordAndNoNetwork) {
  EXPECT_THAT(out("sudo id"), HasSubstr("uid=0(root)"));
  EXPECT_THAT(out("sudo -u user sudo id", 0), HasSubstr("uid=0(root)"));
  EXPECT_EQ(out("sudo -n -u www-data id -un"), "www-data\n");
  EXPECT_EQ(out("su -c 'id -un' user", 0), "user\n");
}

TEST_F(BaseTemplateTest, TheToolsOfTheBaseTemplateRun) {
  EXPECT_THAT(out("python --version && python3 --version"), HasSubstr("Python 3."));
  EXPECT_THAT(out("git --version"), HasSubstr("git version"));
  EXPECT_THAT(out("curl --version | head -1"), HasSubstr("curl"));
  EXPECT_EQ(out("TERM=xterm-256color tput colors"), "256\n");
  EXPECT_EQ(
      out("python -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 50)'"),
      "True\n");
  EXPECT_EQ(out("python -c 'import os; open(\"a\", \"w\"); os.setxattr(\"a\", \"user.k\", b\"v\"); "
                "print(os.getxattr(\"a\", \"user.k\"))'"),
            "b'v'\n");
  if (fs::exists("/usr/bin/node")) {
    EXPECT_EQ(out("node -e 'console.log(6*7)'"), "42\n");
  }
}

TEST_F(BaseTemplateTest, TheAccountsAndNamesAreTheSandboxes) {
  EXPECT_THAT(out("getent passwd user"), HasSubstr("user:x:1000:1000::/home/user:/bin/bash"));
  EXPECT_THAT(out("getent hosts e2b.local"), HasSubstr("127.0.1.1"));
  EXPECT_EQ(out("cat /etc/resolv.conf"), "nameserver 8.8.8.8\n");
  EXPECT_THAT(out("id"), HasSubstr("27(sudo)"));
  EXPECT_EQ(out("test -e /etc/os-release && echo yes"), "yes\n");
}

TEST_F(BaseTemplateTest, UsrLocalAndCodeAreEmptyAndEverybodys) {
  EXPECT_EQ(out("find /usr/local -not -type d -not -path /usr/local/man; stat -c %a /usr/local/bin "
                "/usr/local/lib /code"),
            "777\n777\n777\n");
  EXPECT_EQ(out("echo 'echo hi' > /usr/local/bin/tool && chmod +x /usr/local/bin/tool && tool"),
            "hi\n");
  EXPECT_EQ(out("cat /usr/etc/npmrc"), "prefix=/usr/local\n");
}

TEST_F(BaseTemplateTest, ThePackageDatabaseIsInOrder) {
  EXPECT_EQ(out("dpkg --audit; dpkg -s bash | grep ^Status", 0), "Status: install ok installed\n");
  EXPECT_THAT(out("dpkg -S /bin/bash", 0), HasSubstr("bash"));
  EXPECT_THAT(out("apt-cache policy bash", 0), HasSubstr("Installed:"));
  EXPECT_EQ(out("mkdir -p /tmp/p/DEBIAN /tmp/p/opt && printf 'Package: probe\\nVersion: "
                "1\\nArchitecture: all\\n"
                "Maintainer: a <a@b.c>\\nDescription: d\\n' > /tmp/p/DEBIAN/control && echo x > "
                "/tmp/p/opt/probe && "
                "dpkg-deb -b /tmp/p /tmp/p.deb > /dev/null && sudo dpkg -i /tmp/p.deb > /dev/null "
                "&& cat /opt/probe"),
            "x\n");
}

TEST_F(BaseTemplateTest, NothingOfTheMachineShows) {
  EXPECT_EQ(out("ls -A /root /opt /srv /mnt /media /tmp /run /var/www 2>/dev/null | grep -v -e "
                "':$' -e '^$'",
                0),
            ".bashrc\n.profile\n");
  std::string text =
      out("cat /etc/shadow; grep -rlsE 'PRIVATE KEY' /etc /var /home /root || true", 0);
  EXPECT_THAT(text, Not(HasSubstr("$")));
  EXPECT_THAT(text, Not(HasSubstr("PRIVATE")));
  const Outcome missing = world_->run(
      "ls -d /etc/ssh /etc/pip.conf /etc/gitconfig /etc/apt/auth.conf /var/lib/postgresql", 0);
  EXPECT_THAT(missing.output, Not(HasSubstr("\n/")));
  auto machine_id = base::read_file("/etc/machine-id");
  if (machine_id) {
    EXPECT_NE(out("cat /etc/machine-id", 0), *machine_id);
  }
}

TEST_F(BaseTemplateTest, DerivingAgainFindsItInNoTime) {
  const auto before = std::chrono::steady_clock::now();
  auto again = derive_base_template(directory_ / "base");
  const auto took = std::chrono::steady_clock::now() - before;
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->built);
  EXPECT_TRUE(base_.built);
  EXPECT_EQ(again->rootfs, base_.rootfs);
  // Printed, not asserted: a busy machine is no failure.
  std::cout << "derived in " << build_time_ / std::chrono::microseconds(1) << " us, found in "
            << took / std::chrono::microseconds(1) << " us\n";
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_ / "base"), fs::directory_iterator()),
            1);
}

// A small machine with planted secrets.
class SmallMachine : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    directory_ = fs::path("/var/tmp") / ("sandlot-test-" + base::random_id(8));
    for (const char* path :
         {"usr/bin", "usr/lib", "usr/sbin", "etc/apt/sources.list.d", "etc/apt/apt.conf.d",
          "etc/ssl/certs", "etc/alternatives", "usr/local/share", "var/lib/dpkg/info"}) {
      fs::create_directories(host() / path);
    }
    fs::create_symlink("usr/bin", host() / "bin");
    fs::create_symlink("usr/lib", host() / "lib");
    fs::create_symlink("usr/sbin", host() / "sbin");
  }
  void TearDown() override {
    std::error_code error;
    if (!directory_.empty()) fs::remove_all(directory_, error);
  }
  fs::path host() const { return directory_ / "host"; }
  void put(const std::string& path, const std::string& text, mode_t mode = 0644) {
    ASSERT_TRUE(base::write_file(host() / path, text, mode));
    ::chmod((host() / path).c_str(), mode);
  }
  fs::path directory_;
};

TEST_F(SmallMachine, SecretsStayBehind) {
  put("etc/services", "secret made unreadable\n", 0600);
  put("etc/apt/sources.list", "deb https://me:secret@repo.example/debian stable main\n");
  put("etc/apt/sources.list.d/plain.list", "deb http://deb.debian.org/debian stable main\n");
  put("etc/apt/apt.conf.d/99proxy", "Acquire::http::Proxy \"http://secret\";\n");
  put("etc/ssl/certs/own.pem", "-----BEGIN PRIVATE KEY-----\nsecret\n");
  put("etc/ssl/certs/good.pem", "-----BEGIN CERTIFICATE-----\n");
  put("etc/environment", "TOKEN=secret\n");
  put("usr/local/share/root.crt", "-----BEGIN CERTIFICATE-----\nlocal root\n");
  fs::create_symlink("/usr/local/share/root.crt", host() / "etc/ssl/certs/root.pem");
  fs::create_symlink("/home/me/tool", host() / "etc/alternatives/editor");
  auto made = derive_base_template(directory_ / "base", host());
  ASSERT_TRUE(made) << made.error().message();
  for (const auto& entry : fs::recursive_directory_iterator(directory_ / "base")) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    auto text = base::read_file(entry.path());
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, Not(HasSubstr("secret"))) << entry.path();
  }
  EXPECT_TRUE(fs::exists(made->rootfs / "etc/apt/sources.list.d/plain.list"));
  EXPECT_TRUE(fs::exists(made->rootfs / "etc/ssl/certs/good.pem"));
  EXPECT_FALSE(fs::is_symlink(fs::symlink_status(made->rootfs / "etc/alternatives/editor")));
}

TEST_F(SmallMachine, RootsOfOursAreTrustedInAllPlacesBesideTheMachines) {
  put("etc/ssl/certs/ca-certificates.crt", "machine's\n");
  const std::vector<TrustedRoot> roots = {{"sandlot-one", "one\n", "11111111"},
                                          {"sandlot-two", "two\n", "22222222"}};
  auto made = derive_base_template(directory_ / "base", host(), roots);
  ASSERT_TRUE(made) << made.error().message();
  auto text = [&](const char* path) { return base::read_file(made->rootfs / path).value_or("?"); };
  EXPECT_EQ(text("etc/ssl/certs/ca-certificates.crt"), "machine's\none\ntwo\n");
  EXPECT_EQ(text("etc/ssl/certs/22222222.0"), "two\n");
  EXPECT_EQ(text("etc/ssl/sandlot-roots.pem"), "one\ntwo\n");
  EXPECT_THAT(text("etc/profile.d/sandlot-roots.sh"), HasSubstr("/etc/ssl/sandlot-roots.pem"));
  auto other = derive_base_template(directory_ / "base", host(), {roots[0]});
  ASSERT_TRUE(other);
  EXPECT_NE(other->rootfs, made->rootfs);
}

TEST_F(SmallMachine, AChangeOfTheMachineMakesANewVersionAndKeepsTheOld) {
  auto first = derive_base_template(directory_ / "base", host());
  ASSERT_TRUE(first) << first.error().message();
  put("etc/ld.so.cache", "new libraries");
  auto second = derive_base_template(directory_ / "base", host());
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->built);
  EXPECT_NE(second->rootfs, first->rootfs);
  EXPECT_TRUE(fs::exists(first->rootfs / "etc/passwd"));
}

TEST_F(SmallMachine, AVersionThatWasLeftIncompleteIsMadeAnew) {
  auto first = derive_base_template(directory_ / "base", host());
  ASSERT_TRUE(first);
  fs::remove(first->rootfs.parent_path() / "recipe");
  auto second = derive_base_template(directory_ / "base", host());
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_TRUE(second->built);
  EXPECT_TRUE(fs::exists(second->rootfs / "etc/passwd"));
}

TEST_F(SmallMachine, AMachineWithoutMergedUsrIsRefusedInWords) {
  fs::remove(host() / "lib");
  fs::create_directory(host() / "lib");
  auto made = derive_base_template(directory_ / "base", host());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), base::Errc::kFailedPrecondition);
  EXPECT_THAT(made.error().message(), HasSubstr("/lib is not a link into /usr"));
  EXPECT_TRUE(fs::is_empty(directory_ / "base"));
}

}  // namespace
}  // namespace emulator::sandboxes
