// The network options of the API: what is taken, stored and shown back (contract-network 2.1, 2.2).
// That they are obeyed is tested where they are (tests/netfilter, tests/integration).
#include <string>

#include <gtest/gtest.h>

#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Network : public CloudTest {
 protected:
  std::string create(const std::string& members) {
    CloudAnswer answer = post("/sandboxes", R"({"templateID":"base",)" + members + "}");
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.parsed().value("sandboxID", "");
  }
  CloudAnswer put(const std::string& id, const std::string& body) {
    return ask("PUT", "/sandboxes/" + id + "/network", body);
  }
  json detail(const std::string& id) { return get("/sandboxes/" + id).parsed(); }
};

TEST_F(Network, Net12Net32ListsAreShownBackExactlyAsSent) {
  json sent = json::parse(
      R"({"allowOut":["Example.com","8.8.8.9/24","8.8.8.9/24"],"denyOut":["0.0.0.0/0"]})");
  std::string id = create("\"network\":" + sent.dump());
  EXPECT_EQ(detail(id)["network"], sent);
  ASSERT_TRUE(service_.last_request->network);
  EXPECT_EQ(service_.last_request->network->allow_out->at(1), "8.8.8.9/24");
}

TEST_F(Network, AbsentListsStayAbsentAndEmptyOnesStayEmpty) {
  EXPECT_FALSE(detail(create(R"("timeout":60)")).contains("network"));
  EXPECT_EQ(detail(create(R"("network":{})"))["network"], json::object());
  json empty = json::parse(R"({"allowOut":[],"denyOut":[]})");
  EXPECT_EQ(detail(create("\"network\":" + empty.dump()))["network"], empty);
  json open = json::parse(R"({"allowPublicTraffic":true})");
  EXPECT_EQ(detail(create("\"network\":" + open.dump()))["network"], open);
}

TEST_F(Network, Net02Net06Net07TheInternetSwitchInBothSpellings) {
  auto access = [&](const std::string& members) {
    return detail(create(members))["allowInternetAccess"];
  };
  EXPECT_EQ(access(R"("allow_internet_access":false)"), json(false));
  EXPECT_EQ(access(R"("allowInternetAccess":false)"), json(false));
  EXPECT_EQ(access(R"("allow_internet_access":true,"allowInternetAccess":false)"), json(false));
  EXPECT_EQ(access(R"("allow_internet_access":null)"), json(false));
  EXPECT_EQ(access(R"("allow_internet_access":true)"), json(true));
  EXPECT_TRUE(access(R"("timeout":60)").is_null());
}

TEST_F(Network, Net09TheDenyListIsShownEvenWhereTheSwitchReplacesIt) {
  std::string id = create(R"("allow_internet_access":false,"network":{"denyOut":["1.1.1.1"]})");
  EXPECT_EQ(detail(id)["network"]["denyOut"], json::array({"1.1.1.1"}));
}

TEST_F(Network, Net58PutReplacesEverything) {
  std::string id =
      create(R"("allow_internet_access":false,"network":{"allowOut":["8.8.8.8"],"denyOut":[]})");
  EXPECT_EQ(put(id, R"({"denyOut":["0.0.0.0/0"],"allowOut":["example.com"]})").status, 204);
  json now = detail(id);
  EXPECT_EQ(now["network"], json::parse(R"({"denyOut":["0.0.0.0/0"],"allowOut":["example.com"]})"));
  EXPECT_TRUE(now["allowInternetAccess"].is_null());
  EXPECT_EQ(put(id, R"({"allow_internet_access":false})").status, 204);
  EXPECT_EQ(detail(id)["network"], json::object());
  EXPECT_EQ(detail(id)["allowInternetAccess"], json(false));
  EXPECT_EQ(put(id, R"({"allowInternetAccess":true,"rules":{},"egressProxy":null})").status, 204);
  EXPECT_EQ(detail(id)["allowInternetAccess"], json(true));
}

TEST_F(Network, Net58WithTheSettingWhatWasSaidAtCreateStays) {
  cloud::CloudOptions options;
  options.network_immutable = true;
  configure(options);
  std::string id = create(R"("network":{"denyOut":["1.1.1.1"]})");
  expect_error(put(id, R"({"denyOut":[]})"), 409);
  expect_error(put(id, R"({"denyOut":["example.com"]})"), 400);
  expect_error(put("inosuchsandboxanywhere", "{}"), 404);
  std::string connect = "/sandboxes/" + id + "/connect";
  expect_error(ask("POST", connect, R"({"timeout":60,"network":{"denyOut":[]}})"), 409);
  EXPECT_EQ(ask("POST", connect, R"({"timeout":60})").status, 200);
  EXPECT_EQ(detail(id)["network"], json::parse(R"({"denyOut":["1.1.1.1"]})"));
}

TEST_F(Network, PutChecksLikeCreateAndThenChangesNothing) {
  std::string id = create(R"("network":{"denyOut":["1.1.1.1"]})");
  struct Row {
    const char* body;
    int status;
    const char* message;
  };
  for (Row row : {
           Row{R"({"denyOut":["example.com"]})", 400, "invalid denied CIDR example.com"},
           Row{R"({"allowOut":["0.0.0.0"]})", 400, "invalid allowed address 0.0.0.0"},
           Row{R"({"allowOut":["example.com"],"allow_internet_access":false})", 400,
               "When specifying allowed domains"},
           Row{R"({"denyOut":"x"})", 400, "validation error: "},
           Row{R"({"denyOut":null})", 400, "validation error: "},
           Row{R"({"allow_internet_access":1})", 400, "validation error: "},
           Row{"nonsense", 400, "Error when parsing request: "},
           Row{R"({"rules":{"a_b.-c":[]}})", 400,
               "Rule domain \"a_b.-c\" is not a valid domain name."},
           Row{R"({"egressProxy":{"address":"a:1"}})", 501, "network"},
       }) {
    CloudAnswer answer = put(id, row.body);
    expect_error(answer, row.status);
    EXPECT_EQ(answer.message().rfind(row.message, 0), 0U) << answer.message();
  }
  EXPECT_EQ(detail(id)["network"], json::parse(R"({"denyOut":["1.1.1.1"]})"));
}

TEST_F(Network, RulesAreShownAsSentAndGoWithTheNextPut) {
  cloud::CloudOptions options;
  options.public_urls = {"c.test", {7463}};
  configure(options);
  json rules = json::parse(
      R"({"a.com":[],"API.b.com":[{"transform":{"headers":{"X-A":"b","Authorization":"c"}}}],)"
      R"("8080-x.c.test:7463":[{"transform":{}}],"d.com":[{}]})");
  std::string id = create(R"("network":{"rules":)" + rules.dump() + "}");
  EXPECT_EQ(detail(id)["network"]["rules"], rules);
  EXPECT_EQ(put(id, R"({"denyOut":["1.1.1.1"]})").status, 204);
  EXPECT_FALSE(detail(id)["network"].contains("rules"));
  EXPECT_EQ(put(id, json{{"rules", rules}}.dump()).status, 204);
  EXPECT_EQ(detail(id)["network"], (json{{"rules", rules}}));
  // A connect changes what it names, and judges nothing else: the port is another one today.
  configure(cloud::CloudOptions());
  EXPECT_EQ(
      post("/sandboxes/" + id + "/connect", R"({"timeout":60,"network":{"denyOut":["1.1.1.1"]}})")
          .status,
      200);
  EXPECT_EQ(detail(id)["network"]["rules"], rules);
  EXPECT_EQ(
      post("/sandboxes/" + id + "/connect", R"({"timeout":60,"network":{"rules":{"e.com":[]}}})")
          .status,
      200);
  EXPECT_EQ(detail(id)["network"]["rules"], json::parse(R"({"e.com":[]})"));
}

TEST_F(Network, PutKnowsUnknownAndPausedSandboxes) {
  expect_error(put("inobody", "{}"), 404);
  std::string id = create(R"("timeout":60)");
  EXPECT_EQ(post("/sandboxes/" + id + "/pause", "{}").status, 204);
  expect_error(put(id, "{}"), 404);
}

TEST_F(Network, APrivateSandboxGetsATrafficTokenAndShowsTheOptionsAsSent) {
  json sent = json::parse(R"({"allowPublicTraffic":false,"maskRequestHost":"localhost:${PORT}"})");
  CloudAnswer created =
      post("/sandboxes", R"({"templateID":"base","network":)" + sent.dump() + "}");
  ASSERT_EQ(created.status, 201) << created.body;
  std::string id = created.parsed().value("sandboxID", "");
  EXPECT_EQ(created.parsed()["trafficAccessToken"], "traffic-" + id);
  EXPECT_EQ(detail(id)["network"], sent);
  EXPECT_FALSE(detail(id).contains("trafficAccessToken")) << "only the handle gets it";
  CloudAnswer connected = post("/sandboxes/" + id + "/connect", R"({"timeout":60})");
  EXPECT_EQ(connected.parsed()["trafficAccessToken"], "traffic-" + id);
}

TEST_F(Network, APublicSandboxHasNoTrafficToken) {
  for (const char* network : {"{}", R"({"allowPublicTraffic":true})", R"({"denyOut":[]})"}) {
    CloudAnswer created =
        post("/sandboxes", R"({"templateID":"base","network":)" + std::string(network) + "}");
    EXPECT_EQ(created.status, 201);
    ASSERT_TRUE(created.parsed().contains("trafficAccessToken"));
    EXPECT_TRUE(created.parsed()["trafficAccessToken"].is_null());
  }
}

constexpr const char* kNeedsSecure =
    "You cannot create a sandbox without public access unless you enable secure envd access via "
    "'secure' flag.";

TEST_F(Network, APrivateSandboxMustBeASecureOne) {
  CloudAnswer answer =
      post("/sandboxes",
           R"({"templateID":"base","secure":false,"network":{"allowPublicTraffic":false}})");
  expect_error(answer, 400);
  EXPECT_EQ(answer.message(), kNeedsSecure);
  EXPECT_TRUE(service_.list().empty());
  std::string id = create(R"("secure":false)");
  answer = post("/sandboxes/" + id + "/connect", R"({"timeout":60,"allowPublicTraffic":false})");
  expect_error(answer, 400);
  EXPECT_EQ(answer.message(), kNeedsSecure);
  EXPECT_FALSE(detail(id).contains("network"));
}

TEST_F(Network, ConnectAndResumeChangeWhatTheySayAndNothingElse) {
  std::string id = create(R"("network":{"denyOut":["0.0.0.0/0"],"maskRequestHost":"a.com"})");
  std::string connect = "/sandboxes/" + id + "/connect";
  CloudAnswer answer = post(connect, R"({"timeout":60,"allowPublicTraffic":false})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.parsed()["trafficAccessToken"], "traffic-" + id);
  // The domain is sound because of the denyOut that the sandbox has already.
  answer = post(connect, R"({"timeout":60,"network":{"allowOut":["example.com"]}})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  json expected = json::parse(
      R"({"allowOut":["example.com"],"denyOut":["0.0.0.0/0"],
          "allowPublicTraffic":false,"maskRequestHost":"a.com"})");
  EXPECT_EQ(detail(id)["network"], expected);
  answer = post(connect, R"({"timeout":60,"network":{}})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(detail(id)["network"], expected);
  ASSERT_EQ(post("/sandboxes/" + id + "/pause", "{}").status, 204);
  answer =
      post("/sandboxes/" + id + "/resume",
           R"({"timeout":60,"network":{"allowPublicTraffic":true,"maskRequestHost":"b.com"}})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_TRUE(answer.parsed()["trafficAccessToken"].is_null());
  expected["allowPublicTraffic"] = true;
  expected["maskRequestHost"] = "b.com";
  EXPECT_EQ(detail(id)["network"], expected);
}

TEST_F(Network, OfConnectsTwoSpellingsTheTopLevelOneWins) {
  std::string id = create(R"("timeout":60)");
  CloudAnswer answer =
      post("/sandboxes/" + id + "/connect",
           R"({"timeout":60,"allowPublicTraffic":false,"network":{"allowPublicTraffic":true}})");
  EXPECT_EQ(answer.parsed()["trafficAccessToken"], "traffic-" + id);
}

TEST_F(Network, ConnectChecksLikeCreateAndThenChangesNothing) {
  std::string id = create(R"("network":{"denyOut":["1.1.1.1"]})");
  ASSERT_EQ(post("/sandboxes/" + id + "/pause", "{}").status, 204);
  struct Row {
    const char* members;
    const char* message;
  };
  for (const char* route : {"/connect", "/resume"}) {
    for (Row row : {
             Row{R"("network":{"denyOut":["example.com"]})", "invalid denied CIDR example.com"},
             Row{R"("network":{"allowOut":["example.com"]})", "When specifying allowed domains"},
             Row{R"("network":{"maskRequestHost":"-https://abcd"})",
                 "mask request host is not valid: -https://abcd"},
             Row{R"("network":{"allowPublicTraffic":"no"})", "validation error: "},
             Row{R"("allowPublicTraffic":null)", "validation error: "},
         }) {
      CloudAnswer answer = post("/sandboxes/" + id + std::string(route),
                                "{\"timeout\":60," + std::string(row.members) + "}");
      expect_error(answer, 400);
      EXPECT_EQ(answer.message().rfind(row.message, 0), 0U) << answer.message();
    }
  }
  EXPECT_EQ(detail(id)["network"], json::parse(R"({"denyOut":["1.1.1.1"]})"));
  EXPECT_EQ(detail(id)["state"], "paused");
}

TEST_F(Network, PutLeavesAloneWhoMayComeIn) {
  std::string id = create(
      R"("network":{"denyOut":["1.1.1.1"],"allowPublicTraffic":false,"maskRequestHost":"a.com"})");
  EXPECT_EQ(put(id, "{}").status, 204);
  EXPECT_EQ(detail(id)["network"],
            json::parse(R"({"allowPublicTraffic":false,"maskRequestHost":"a.com"})"));
}

}  // namespace
}  // namespace tests
