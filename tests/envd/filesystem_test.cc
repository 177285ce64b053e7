// filesystem.Filesystem against a running agent.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

using testing::StartsWith;

json call(const RunningAgent& agent,
          const std::string& method,
          const json& request,
          fakeapi::http::Headers headers = {}) {
  auto [status, body] = agent.call("filesystem.Filesystem/" + method, request, std::move(headers));
  body["http"] = status;
  return body;
}

std::vector<std::string> names_in(const json& listing) {
  std::vector<std::string> names;
  for (const json& entry : listing.value("entries", json::array())) names.push_back(entry["name"]);
  return names;
}

TEST(Filesystem, StatDescribesAFile) {
  RunningAgent agent;
  std::string path = agent.home() + "/a.txt";
  ASSERT_TRUE(base::write_file(path, "four", 0640));
  ASSERT_EQ(::chown(path.c_str(), 1000, 27), 0);
  timespec times[2] = {{1000000000, 0}, {1000000000, 500000000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  json entry = call(agent, "Stat", {{"path", "a.txt"}})["entry"];
  EXPECT_EQ(entry, json({{"name", "a.txt"},
                         {"type", "FILE_TYPE_FILE"},
                         {"path", path},
                         {"size", "4"},
                         {"mode", 416},
                         {"permissions", "-rw-r-----"},
                         {"owner", "user"},
                         {"group", "sudo"},
                         {"modifiedTime", "2001-09-09T01:46:40.500Z"}}));
}

TEST(Filesystem, StatOfASymlinkShowsItsTargetsType) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/file", "x"));
  std::filesystem::create_symlink("file", agent.home() + "/good");
  std::filesystem::create_symlink("nothing", agent.home() + "/broken");
  json good = call(agent, "Stat", {{"path", "good"}})["entry"];
  EXPECT_EQ(good["type"], "FILE_TYPE_FILE");
  EXPECT_EQ(good["permissions"], "Lrwxrwxrwx");
  EXPECT_EQ(good["symlinkTarget"], agent.home() + "/file");
  EXPECT_EQ(good["mode"], 0644);
  EXPECT_EQ(good["size"], "4");
  json broken = call(agent, "Stat", {{"path", "broken"}})["entry"];
  EXPECT_FALSE(broken.contains("type"));
  EXPECT_FALSE(broken.contains("mode"));
  EXPECT_EQ(broken["symlinkTarget"], agent.home() + "/broken");
}

TEST(Filesystem, StatErrorsHaveTheDaemonsWords) {
  RunningAgent agent;
  json missing = call(agent, "Stat", {{"path", "/no/such"}});
  EXPECT_EQ(missing["http"], 404);
  EXPECT_EQ(missing["code"], "not_found");
  EXPECT_EQ(missing["message"], "file not found: lstat /no/such: no such file or directory");
  json tilde = call(agent, "Stat", {{"path", "~other"}});
  EXPECT_EQ(tilde["code"], "invalid_argument");
  EXPECT_EQ(tilde["message"], "cannot expand user-specific home dir");
  json stranger = call(agent, "Stat", {{"path", "/"}}, as_user("nobody"));
  EXPECT_EQ(stranger["http"], 401);
  EXPECT_EQ(stranger["message"], "invalid username: 'nobody'");
}

TEST(Filesystem, MakeDirOwnsOnlyWhatItMade) {
  RunningAgent agent;
  json made = call(agent, "MakeDir", {{"path", agent.root() + "/top/mid/leaf"}});
  EXPECT_EQ(made["entry"]["permissions"], "drwxr-xr-x");
  EXPECT_EQ(made["entry"]["owner"], "user");
  EXPECT_NE(made["entry"]["size"], "0");
  struct stat info {};
  ASSERT_EQ(::stat((agent.root() + "/top").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  ASSERT_EQ(::stat(agent.root().c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
  json again = call(agent, "MakeDir", {{"path", agent.root() + "/top"}});
  EXPECT_EQ(again["http"], 409);
  EXPECT_EQ(again["message"], "directory already exists: " + agent.root() + "/top");
  json file = call(agent, "MakeDir", {{"path", agent.root() + "/passwd"}});
  EXPECT_EQ(file["code"], "invalid_argument");
  EXPECT_EQ(file["message"],
            "path already exists but it is not a directory: " + agent.root() + "/passwd");
}

TEST(Filesystem, MoveMakesParentsAndKeepsMetadata) {
  RunningAgent agent;
  std::string path = agent.home() + "/old";
  ASSERT_TRUE(base::write_file(path, "x"));
  bool attributes = ::setxattr(path.c_str(), "user.e2b.author", "me", 2, 0) == 0;
  json moved = call(agent, "Move", {{"source", "old"}, {"destination", "deep/er/new"}});
  EXPECT_EQ(moved["entry"]["path"], agent.home() + "/deep/er/new");
  if (attributes) {
    EXPECT_EQ(moved["entry"]["metadata"], json({{"author", "me"}}));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  json missing = call(agent, "Move", {{"source", "old"}, {"destination", "other"}});
  EXPECT_EQ(missing["code"], "not_found");
  EXPECT_THAT(missing["message"].get<std::string>(), StartsWith("source file not found: rename "));
}

TEST(Filesystem, ListWalksDepthFirstInByteOrder) {
  RunningAgent agent;
  for (const char* name : {"t/subdir1/subdir1_1", "t/subdir1/subdir1_2", "t/subdir2"}) {
    std::filesystem::create_directories(agent.home() + "/" + name);
  }
  ASSERT_TRUE(base::write_file(agent.home() + "/t/file1.txt", "x"));
  std::filesystem::create_directory_symlink("subdir1", agent.home() + "/t/link");
  EXPECT_THAT(names_in(call(agent, "ListDir", {{"path", "t"}})),
              testing::ElementsAre("file1.txt", "link", "subdir1", "subdir2"));
  json two = call(agent, "ListDir", {{"path", "t"}, {"depth", 2}});
  EXPECT_THAT(names_in(two), testing::ElementsAre("file1.txt", "link", "subdir1", "subdir1_1",
                                                  "subdir1_2", "subdir2"));
  EXPECT_EQ(two["entries"][3]["path"], agent.home() + "/t/subdir1/subdir1_1");
  json linked = call(agent, "ListDir", {{"path", "t/link"}});
  EXPECT_EQ(linked["entries"][0]["path"], agent.home() + "/t/link/subdir1_1")
      << "the requested base is kept";
  EXPECT_EQ(call(agent, "ListDir", {{"path", "t/subdir2"}}), json({{"http", 200}}));
}

TEST(Filesystem, ListErrorsHaveTheDaemonsWords) {
  RunningAgent agent;
  json missing = call(agent, "ListDir", {{"path", "/no/such"}});
  EXPECT_EQ(missing["code"], "not_found");
  EXPECT_THAT(missing["message"].get<std::string>(), StartsWith("path not found: "));
  json file = call(agent, "ListDir", {{"path", agent.root() + "/passwd"}});
  EXPECT_EQ(file["code"], "invalid_argument");
  EXPECT_EQ(file["message"], "path is not a directory: " + agent.root() + "/passwd");
  std::filesystem::create_symlink("loop", agent.home() + "/loop");
  json loop = call(agent, "ListDir", {{"path", "loop"}});
  EXPECT_EQ(loop["code"], "failed_precondition");
  EXPECT_EQ(loop["message"], "cyclic symlink or chain >255 links at \"" + agent.home() + "/loop\"");
}

TEST(Filesystem, RemoveTakesTreesAndForgivesTheMissing) {
  RunningAgent agent;
  std::filesystem::create_directories(agent.home() + "/t/a/b/c");
  std::string outside = agent.root() + "/outside";
  std::filesystem::create_directory(outside);
  ASSERT_TRUE(base::write_file(outside + "/kept", "x"));
  std::filesystem::create_directory_symlink(outside, agent.home() + "/t/link");
  for (int i = 0; i < 600; ++i)
    ASSERT_TRUE(base::write_file(agent.home() + "/t/a/" + std::to_string(i), ""));
  EXPECT_EQ(call(agent, "Remove", {{"path", "t"}}), json({{"http", 200}}));
  EXPECT_FALSE(std::filesystem::exists(agent.home() + "/t"));
  EXPECT_TRUE(std::filesystem::exists(outside + "/kept")) << "a symlink is removed, not followed";
  EXPECT_EQ(call(agent, "Remove", {{"path", "t"}}), json({{"http", 200}}));
}

TEST(Filesystem, NamesThatAreNotUtf8DoNotBreakTheListing) {
  RunningAgent agent;
  ASSERT_TRUE(base::write_file(agent.home() + "/bad\xFFname", ""));
  EXPECT_THAT(names_in(call(agent, "ListDir", {{"path", ""}})),
              testing::ElementsAre("bad\xEF\xBF\xBDname"));
}

}  // namespace
}  // namespace envd_tests
