// The volume routes: bodies, errors, tokens; mounts of a sandbox; the files of a volume.
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

using base::Errc;

class Volumes : public CloudTest {
 protected:
  CloudAnswer content(std::string method,
                      const std::string& rest,
                      std::string body = "",
                      std::string token = "secret") {
    return ask(std::move(method), "/volumecontent/v1/" + rest, std::move(body),
               {{"Authorization", "Bearer " + token}});
  }
  static void expect_content_error(const CloudAnswer& answer, int status) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.parsed()["code"], std::to_string(status)) << answer.body;
    EXPECT_FALSE(answer.message().empty());
  }
};

TEST_F(Volumes, CreateAnswersWithTheToken) {
  CloudAnswer answer = post("/volumes", R"({"name":"my_Vol-1"})");
  EXPECT_EQ(answer.status, 201);
  json expected = {
      {"volumeID", "v1"}, {"name", "my_Vol-1"}, {"token", "secret"}, {"usedSizeBytes", 4096}};
  EXPECT_EQ(answer.parsed(), expected);
}

TEST_F(Volumes, AQuotaHasAThousandInodesToTheGibUnlessItSaysOtherwise) {
  EXPECT_EQ(post("/volumes", R"({"name":"v","quotaSizeGiB":3})").parsed()["quotaSizeGiB"], 3);
  EXPECT_EQ(volumes_.last_quota, (cloud::VolumeQuota{3, 3000}));
  post("/volumes", R"({"name":"v","quotaSizeGiB":2.0,"quotaInodes":7})");
  EXPECT_EQ(volumes_.last_quota, (cloud::VolumeQuota{2, 7}));
  post("/volumes", R"({"name":"v","quotaSizeGiB":1,"quotaInodes":1048576})");
  EXPECT_EQ(volumes_.last_quota, (cloud::VolumeQuota{1, 1048576}));
  expect_error(post("/volumes", R"({"name":"v","quotaSizeGiB":1,"quotaInodes":1048577})"), 400);
  EXPECT_EQ(volumes_.last_quota, (cloud::VolumeQuota{1, 1048576})) << "nobody was asked";
}

TEST_F(Volumes, ListHasNoTokens) {
  json expected = json::array({{{"volumeID", "v1"}, {"name", "data"}, {"usedSizeBytes", 4096}}});
  EXPECT_EQ(get("/volumes").parsed(), expected);
  EXPECT_EQ(get("/volumes/v1").parsed()["token"], "secret");
}

TEST_F(Volumes, QuotaCanBeChangedOrLeft) {
  CloudAnswer answer = ask("PATCH", "/volumes/v1", R"({"quotaSizeGiB":5,"quotaInodes":5000})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed()["quotaSizeGiB"], 5);
  volumes_.last_quota.reset();
  EXPECT_EQ(ask("PATCH", "/volumes/v1", "{}").parsed()["quotaSizeGiB"], 5);
  EXPECT_FALSE(volumes_.last_quota);
}

TEST_F(Volumes, ErrorsAreTheCloudsAndUnknownVolumesAre404) {
  volumes_.fail_next = base::Error(Errc::kAlreadyExists, "Volume with name 'v' already exists");
  CloudAnswer taken = post("/volumes", R"({"name":"v"})");
  expect_error(taken, 400);
  EXPECT_EQ(taken.message(), "Volume with name 'v' already exists");
  volumes_.fail_next = base::Error(Errc::kConflict, "mounted");
  expect_error(ask("DELETE", "/volumes/v1"), 409);
  EXPECT_EQ(ask("DELETE", "/volumes/v1").status, 204);
  expect_error(ask("DELETE", "/volumes/nobody"), 404);
  expect_error(get("/volumes/nobody"), 404);
  expect_error(ask("PATCH", "/volumes/nobody", R"({"quotaSizeGiB":1})"), 404);
}

TEST_F(Volumes, BadBodiesAre400) {
  for (const char* body :
       {"", "x", "[]", "{}", R"({"name":""})", R"({"name":1})", R"({"name":"a b"})",
        R"({"name":"a/b"})", R"({"name":"v","quotaSizeGiB":0})",
        R"({"name":"v","quotaSizeGiB":-1})", R"({"name":"v","quotaSizeGiB":1.5})",
        R"({"name":"v","quotaSizeGiB":1e30})", R"({"name":"v","quotaSizeGiB":"1"})",
        R"({"name":"v","quotaInodes":5})", R"({"name":"v","quotaSizeGiB":1,"quotaInodes":0})"}) {
    expect_error(post("/volumes", body), 400);
  }
  expect_error(post("/volumes", R"({"name":")" + std::string(256, 'x') + "\"}"), 400);
  for (const char* body : {"", "x", "[]", R"({"quotaSizeGiB":null})", R"({"quotaInodes":1})"}) {
    expect_error(ask("PATCH", "/volumes/v1", body), 400);
  }
}

TEST_F(Volumes, MountsOfACreateAreShown) {
  std::string id =
      create(R"({"templateID":"base","volumeMounts":[{"name":"data","path":"/mnt/x"}]})");
  json expected = json::array({{{"name", "data"}, {"path", "/mnt/x"}}});
  EXPECT_EQ(get("/sandboxes/" + id).parsed()["volumeMounts"], expected);
  EXPECT_EQ(get("/v2/sandboxes").parsed()[0]["volumeMounts"], expected);
}

TEST_F(Volumes, MountAndUnmountAnswerWithTheWholeSandbox) {
  std::string id = create();
  std::string path = "/sandboxes/" + id + "/volume-mounts";
  CloudAnswer mounted = post(path, R"({"name":"data","path":"/mnt/x"})");
  EXPECT_EQ(mounted.status, 200);
  EXPECT_EQ(mounted.parsed()["sandboxID"], id);
  EXPECT_EQ(mounted.parsed()["volumeMounts"][0]["path"], "/mnt/x");
  CloudAnswer unmounted = ask("DELETE", path + "?path=%2Fmnt%2Fx&force=true");
  EXPECT_EQ(unmounted.status, 200);
  EXPECT_EQ(unmounted.parsed()["volumeMounts"], json::array());
  EXPECT_TRUE(service_.last_force);
  ask("DELETE", path + "?path=%2Fmnt%2Fx");
  EXPECT_FALSE(service_.last_force);
}

TEST_F(Volumes, BadMountsOfASandbox) {
  std::string id = create();
  std::string path = "/sandboxes/" + id + "/volume-mounts";
  for (const char* body : {"", "x", "{}", R"({"name":"a"})", R"({"name":"a","path":1})"}) {
    expect_error(post(path, body), 400);
  }
  expect_error(post("/sandboxes/inobody/volume-mounts", R"({"name":"a","path":"/x"})"), 404);
  expect_error(ask("DELETE", "/sandboxes/inobody/volume-mounts?path=%2Fx"), 404);
  service_.fail_next = base::Error(Errc::kConflict, "busy");
  expect_error(ask("DELETE", path + "?path=%2Fx"), 409);
  service_.at(id).state = cloud::SandboxState::kPaused;
  expect_error(post(path, R"({"name":"a","path":"/x"})"), 409);
  expect_error(ask("DELETE", path + "?path=%2Fx"), 409);
}

TEST(MountPaths, OnlyCleanAbsoluteOnesThatAreNotTheSystems) {
  for (const char* good :
       {"/mnt", "/mnt/a b", "/processes", "/dev2/x", "/home/user/.x", "/a/..b"}) {
    EXPECT_EQ(cloud::mount_path_problem(good), "") << good;
  }
  for (const char* bad : {"", "/", "x", "./x", "/x/", "/x//y", "/x/.", "/x/../y", "/..", "//x",
                          "/proc", "/proc/1", "/sys", "/dev/shm"}) {
    EXPECT_NE(cloud::mount_path_problem(bad), "") << bad;
  }
  EXPECT_NE(cloud::mount_path_problem(std::string_view("/x\0y", 4)), "");
  EXPECT_NE(cloud::mount_path_problem("/" + std::string(5000, 'x')), "");
}

TEST(MountPaths, EveryProblemOfAListIsNamed) {
  std::vector<cloud::VolumeMount> mounts = {
      {"no", "/a"}, {"v", "/a"}, {"v", "b"}, {"v", "/a"}, {"v", "/b"}};
  auto checked =
      cloud::validate_mounts(mounts, [](const std::string& name) { return name == "v"; });
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message(),
            "invalid mounts:\n\t- volume mount #0: volume 'no' not found"
            "\n\t- volume mount #2: path must be absolute"
            "\n\t- volume mount #3: path '/a' is already used");
}

TEST_F(Volumes, TheFilesWantTheVolumesOwnTokenAndNoKey) {
  cloud::CloudOptions options;
  options.api_keys = {"sk_local"};
  configure(std::move(options));
  EXPECT_EQ(content("GET", "path?path=%2Fx").status, 200);
  expect_content_error(content("GET", "path?path=%2Fx", "", "sk_local"), 401);
  expect_content_error(content("GET", "file?path=%2Fx", "", "wrong"), 401);
  expect_content_error(content("PUT", "file?path=%2Fx", "text", ""), 401);
  expect_content_error(ask("GET", "/volumecontent/v2/path?path=%2Fx"), 404);
  EXPECT_EQ(volumes_.content, "content");
  expect_error(get("/volumes"), 401);
}

TEST_F(Volumes, FilesAreReadAndWrittenWhole) {
  CloudAnswer read = content("GET", "file?path=%2Fx");
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.body, "content");
  EXPECT_EQ(read.headers.get("Content-Type"), "application/octet-stream");
  EXPECT_EQ(read.headers.get("Content-Length"), "7");
  std::string large(1U << 20U, 'y');
  CloudAnswer written = content("PUT", "file?path=%2Fx&uid=1000&gid=5&mode=420&force=true", large);
  EXPECT_EQ(written.status, 201);
  EXPECT_EQ(written.parsed()["name"], "x");
  EXPECT_EQ(volumes_.last_call, "/x 1000 5 420 force");
  EXPECT_EQ(volumes_.content, large);
  volumes_.content.clear();
  CloudAnswer empty = content("GET", "file?path=%2Fx");
  EXPECT_EQ(empty.headers.get("Content-Length"), "0");
  expect_content_error(content("GET", "file?path=%2Fy"), 404);
}

TEST_F(Volumes, EntriesHaveEveryField) {
  CloudAnswer answer = content("GET", "path?path=%2Fdir%2Fx");
  json entry = answer.parsed();
  for (const char* name :
       {"name", "type", "path", "size", "mode", "uid", "gid", "atime", "mtime", "ctime"}) {
    EXPECT_TRUE(entry.contains(name)) << name;
  }
  EXPECT_EQ(entry["type"], "file");
  EXPECT_EQ(entry["path"], "/dir/x");
  EXPECT_EQ(content("GET", "dir?path=%2F&depth=3").parsed().size(), 1U);
  EXPECT_EQ(volumes_.last_call, "/ depth 3");
  EXPECT_EQ(content("POST", "dir?path=%2Fd&mode=511").status, 201);
  EXPECT_EQ(volumes_.last_call, "/d - - 511");
  EXPECT_EQ(content("PATCH", "path?path=%2Fx", R"({"uid":7,"mode":384})").status, 200);
  EXPECT_EQ(volumes_.last_call, "/x 7 - 384");
  EXPECT_EQ(content("DELETE", "path?path=%2Fx").status, 204);
}

TEST_F(Volumes, BadRequestsForFiles) {
  expect_content_error(content("GET", "path"), 400);
  expect_content_error(content("GET", "dir?path="), 400);
  expect_content_error(content("GET", "file?other=1"), 400);
  for (const char* query : {"uid=x", "gid=-1", "mode=1.5", "uid=99999999999", "uid=4294967295"}) {
    expect_content_error(content("PUT", "file?path=%2Fx&" + std::string(query), "t"), 400);
  }
  for (const char* body : {"", "x", "[]", R"({"uid":-1})", R"({"mode":"x"})"}) {
    expect_content_error(content("PATCH", "path?path=%2Fx", body), 400);
  }
  EXPECT_EQ(volumes_.content, "content");
}

}  // namespace
}  // namespace tests
