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
  EXPECT_FALSE(detail(create(R"("network":null)")).contains("network"));
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
           Row{R"({"rules":{"a.com":[]}})", 501, "network"},
           Row{R"({"egressProxy":{"address":"a:1"}})", 501, "network"},
       }) {
    CloudAnswer answer = put(id, row.body);
    expect_error(answer, row.status);
    EXPECT_EQ(answer.message().rfind(row.message, 0), 0U) << answer.message();
  }
  EXPECT_EQ(detail(id)["network"], json::parse(R"({"denyOut":["1.1.1.1"]})"));
}

TEST_F(Network, PutKnowsUnknownAndPausedSandboxes) {
  expect_error(put("inobody", "{}"), 404);
  std::string id = create(R"("timeout":60)");
  EXPECT_EQ(post("/sandboxes/" + id + "/pause", "{}").status, 204);
  expect_error(put(id, "{}"), 409);
}

}  // namespace
}  // namespace tests
