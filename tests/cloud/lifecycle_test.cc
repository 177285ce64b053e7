#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Lifecycle : public CloudTest {
 protected:
  base::TimePoint end_of(const std::string& id) { return service_.at(id).end_at; }
};

TEST_F(Lifecycle, ConnectToARunningSandboxAnswers200WithTheSameToken) {
  json created = post("/sandboxes", R"({"templateID":"base"})").parsed();
  CloudAnswer answer = post("/sandboxes/isbx1/connect", R"({"timeout":10})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed(), created);
}

TEST_F(Lifecycle, ConnectResumesAPausedSandboxWith201) {
  std::string id = create();
  post("/sandboxes/" + id + "/pause");
  CloudAnswer answer = post("/v2/sandboxes/" + id + "/connect", R"({"timeout":10})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.parsed()["sandboxID"], id);
  EXPECT_EQ(service_.at(id).state, cloud::SandboxState::kRunning);
}

TEST_F(Lifecycle, ConnectNeverShortensALife) {
  std::string id = create(R"({"templateID":"base","timeout":300})");
  auto before = end_of(id);
  post("/sandboxes/" + id + "/connect", R"({"timeout":10})");
  EXPECT_EQ(end_of(id), before);
  post("/sandboxes/" + id + "/connect", R"({"timeout":600})");
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::seconds(600));
}

TEST_F(Lifecycle, ConnectWithoutATimeoutMeansFiveMinutes) {
  std::string id = create(R"({"templateID":"base","timeout":1})");
  EXPECT_EQ(post("/v2/sandboxes/" + id + "/connect", "{}").status, 200);
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::minutes(5));
}

TEST_F(Lifecycle, ConnectIsCappedLikeCreate) {
  std::string id = create();
  post("/sandboxes/" + id + "/connect", R"({"timeout":86400})");
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::hours(1));
}

TEST_F(Lifecycle, ConnectToADeadSandboxAnswers404) {
  expect_error(post("/sandboxes/nonexistingsandbox/connect", R"({"timeout":10})"), 404);
}

TEST_F(Lifecycle, ConnectAcceptsTheSecurityTheSandboxHas) {
  std::string id = create();
  EXPECT_EQ(post("/sandboxes/" + id + "/connect", R"({"timeout":1,"secure":true})").status, 200);
  expect_error(post("/sandboxes/" + id + "/connect", R"({"timeout":1,"secure":false})"), 501);
}

TEST_F(Lifecycle, ConnectRefusesWhatIsNotBuilt) {
  std::string id = create();
  std::string path = "/v2/sandboxes/" + id + "/connect";
  expect_error(post(path, R"({"timeout":1,"network":{"httpsPorts":[8443]}})"), 501);
  EXPECT_EQ(post(path, R"({"timeout":1,"memory":true,"network":{}})").status, 200);
}

TEST_F(Lifecycle, PauseIsDoneOnceAndThenAConflict) {
  std::string id = create();
  EXPECT_EQ(post("/sandboxes/" + id + "/pause").status, 204);
  EXPECT_EQ(get("/sandboxes/" + id).parsed()["state"], "paused");
  CloudAnswer again = post("/sandboxes/" + id + "/pause");
  expect_error(again, 409);
  EXPECT_EQ(again.message(), "Error pausing sandbox - sandbox 'isbx1' is already paused");
  expect_error(post("/sandboxes/nobody/pause"), 404);
}

TEST_F(Lifecycle, PauseTakesTheBodiesOfEverySdk) {
  for (const char* body : {"", "{}", R"({"memory":true})", R"({"sync":true})"}) {
    std::string id = create();
    EXPECT_EQ(post("/sandboxes/" + id + "/pause", body).status, 204) << body;
  }
  std::string id = create();
  EXPECT_EQ(service_.paused_with_memory, true);
  expect_error(post("/sandboxes/" + id + "/pause", R"({"memory":"no"})"), 400);
  EXPECT_EQ(service_.at(id).state, cloud::SandboxState::kRunning);
  EXPECT_EQ(post("/sandboxes/" + id + "/pause", R"({"memory":false})").status, 204);
  EXPECT_EQ(service_.paused_with_memory, false);
}

TEST_F(Lifecycle, ConnectAndResumeMayAskForAFreshStart) {
  for (const char* call : {"connect", "resume"}) {
    std::string id = create();
    std::string path = "/sandboxes/" + id + "/" + call;
    ASSERT_EQ(post("/sandboxes/" + id + "/pause").status, 204);
    EXPECT_EQ(post(path, R"({"timeout":9,"memory":false})").status, 201);
    EXPECT_EQ(service_.memory_dropped.back(), id);
  }
  std::string id = create();
  ASSERT_EQ(post("/sandboxes/" + id + "/pause").status, 204);
  EXPECT_EQ(post("/v2/sandboxes/" + id + "/connect", R"({"timeout":9})").status, 201);
  EXPECT_EQ(service_.memory_dropped.size(), 2U);
}

TEST_F(Lifecycle, ResumeAnswers201AndAConflictWhenItRuns) {
  std::string id = create();
  CloudAnswer running = post("/sandboxes/" + id + "/resume", R"({"timeout":20})");
  expect_error(running, 409);
  EXPECT_EQ(running.message(), "Sandbox isbx1 is already running");
  post("/sandboxes/" + id + "/pause");
  CloudAnswer answer = post("/sandboxes/" + id + "/resume", R"({"timeout":20,"autoPause":true})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.parsed()["sandboxID"], id);
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::seconds(20));
  EXPECT_TRUE(service_.at(id).auto_pause);
  expect_error(post("/sandboxes/nobody/resume", "{}"), 404);
}

TEST_F(Lifecycle, TimeoutMovesTheEndBothWays) {
  std::string id = create();
  for (int seconds : {5, 600, 0}) {
    std::string body = R"({"timeout":)" + std::to_string(seconds) + "}";
    EXPECT_EQ(post("/sandboxes/" + id + "/timeout", body).status, 204);
    EXPECT_EQ(end_of(id), clock_.now() + std::chrono::seconds(seconds));
  }
  expect_error(post("/sandboxes/nobody/timeout", R"({"timeout":5})"), 404);
}

TEST_F(Lifecycle, TimeoutIsCappedUnlessLongRunning) {
  std::string id = create();
  post("/sandboxes/" + id + "/timeout", R"({"timeout":86400})");
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::hours(1));
  std::string marked = create(R"({"templateID":"base","metadata":{"long_running":"true"}})");
  post("/sandboxes/" + marked + "/timeout", R"({"timeout":86400})");
  EXPECT_EQ(end_of(marked), clock_.now() + std::chrono::hours(24));
}

TEST_F(Lifecycle, RefreshExtendsButNeverShortens) {
  std::string id = create(R"({"templateID":"base","timeout":60})");
  auto before = end_of(id);
  EXPECT_EQ(post("/sandboxes/" + id + "/refreshes", R"({"duration":30})").status, 204);
  EXPECT_EQ(end_of(id), before);
  EXPECT_EQ(post("/sandboxes/" + id + "/refreshes", R"({"duration":3600})").status, 204);
  EXPECT_EQ(end_of(id), clock_.now() + std::chrono::hours(1));
  EXPECT_EQ(post("/sandboxes/" + id + "/refreshes").status, 204);
  expect_error(post("/sandboxes/" + id + "/refreshes", R"({"duration":3601})"), 400);
  expect_error(post("/sandboxes/nobody/refreshes", R"({"duration":30})"), 404);
}

TEST_F(Lifecycle, APausedSandboxIsNotThereForRefreshesAndTimeouts) {
  std::string id = create();
  post("/sandboxes/" + id + "/pause");
  expect_error(post("/sandboxes/" + id + "/refreshes", R"({"duration":30})"), 404);
  expect_error(post("/sandboxes/" + id + "/timeout", R"({"timeout":30})"), 404);
}

TEST_F(Lifecycle, APausedSandboxCanBeKilled) {
  std::string id = create();
  post("/sandboxes/" + id + "/pause");
  EXPECT_EQ(ask("DELETE", "/sandboxes/" + id).status, 204);
}

}  // namespace
}  // namespace tests
