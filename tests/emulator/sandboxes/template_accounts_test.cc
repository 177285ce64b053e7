#include "emulator/sandboxes/template_accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace emulator::sandboxes {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHostPasswd =
    "root:x:0:0:root:/root:/bin/zsh\n"
    "alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\n"
    "deploy:x:950:950::/srv/deploy:/bin/bash\n"
    "messagebus:x:100:102::/nonexistent:/usr/sbin/nologin\n"
    "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
    "broken line\n";
constexpr const char* kHostGroup =
    "root:x:0:\n"
    "alice:x:1000:\n"
    "docker:x:998:alice\n"
    "messagebus:x:102:\n"
    "_ssh:x:101:alice\n"
    "node:x:999:\n";

TEST(TemplateAccounts, HaveRootAndUserWithoutPassword) {
  const AccountFiles files = make_account_files(kHostPasswd, kHostGroup);
  EXPECT_THAT(files.passwd, HasSubstr("root:x:0:0:root:/root:/bin/bash\n"));
  EXPECT_THAT(files.passwd, HasSubstr("user:x:1000:1000::/home/user:/bin/bash\n"));
  EXPECT_THAT(files.group, HasSubstr("sudo:x:27:user\n"));
  EXPECT_THAT(files.shadow, HasSubstr("root::"));
  EXPECT_THAT(files.shadow, HasSubstr("user::"));
  EXPECT_THAT(files.shadow, HasSubstr("nobody:*:"));
}

TEST(TemplateAccounts, LeavePeopleAndUnknownServicesOfTheMachineOut) {
  const AccountFiles files = make_account_files(kHostPasswd, kHostGroup);
  for (const std::string* text : {&files.passwd, &files.group, &files.shadow, &files.gshadow}) {
    EXPECT_THAT(*text, Not(HasSubstr("alice")));
    EXPECT_THAT(*text, Not(HasSubstr("deploy")));
    EXPECT_THAT(*text, Not(HasSubstr("docker")));
  }
}

TEST(TemplateAccounts, KeepTheMachinesIdsOfWellKnownSystemAccounts) {
  const AccountFiles files = make_account_files(kHostPasswd, kHostGroup);
  EXPECT_THAT(files.passwd, HasSubstr("messagebus:x:100:102:"));
  EXPECT_THAT(files.passwd, HasSubstr("_apt:x:42:65534:"));
  EXPECT_THAT(files.group, HasSubstr("_ssh:x:101:\n"));
  EXPECT_THAT(files.passwd, HasSubstr("node:x:999:999:"));
}

TEST(TemplateAccounts, AreCompleteOnAMachineThatKnowsNobody) {
  const AccountFiles files = make_account_files("", "");
  for (const char* name : {"root", "www-data", "nobody", "_apt", "node", "user"}) {
    EXPECT_TRUE(has_account(files.passwd, name)) << name;
    EXPECT_TRUE(has_account(files.shadow, name)) << name;
  }
  EXPECT_FALSE(has_account(files.passwd, "use"));
}

}  // namespace
}  // namespace emulator::sandboxes
