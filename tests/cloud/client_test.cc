// Who asks, and how: keys, browsers, methods, paths, connections.
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Client : public CloudTest {
 protected:
  void require_key(std::string key) {
    cloud::CloudOptions options;
    options.api_keys.push_back(std::move(key));
    options.api_keys.push_back("second");
    configure(std::move(options));
  }
};

TEST_F(Client, WithoutConfiguredKeysAnyKeyAndNoneIsAccepted) {
  EXPECT_EQ(get("/v2/sandboxes").status, 200);
  EXPECT_EQ(get("/v2/sandboxes", {{"X-API-KEY", "sk_anything"}}).status, 200);
  EXPECT_EQ(get("/v2/sandboxes", {{"Authorization", "Bearer x"}}).status, 200);
}

TEST_F(Client, AConfiguredKeyIsAcceptedInEitherHeader) {
  require_key("sk_local");
  EXPECT_EQ(get("/v2/sandboxes", {{"X-API-KEY", "sk_local"}}).status, 200);
  EXPECT_EQ(get("/v2/sandboxes", {{"x-api-key", "second"}}).status, 200);
  EXPECT_EQ(get("/v2/sandboxes", {{"Authorization", "Bearer sk_local"}}).status, 200);
  EXPECT_EQ(get("/v2/sandboxes", {{"authorization", "bearer  sk_local"}}).status, 200);
  EXPECT_EQ(
      get("/v2/sandboxes", {{"X-API-KEY", "wrong"}, {"Authorization", "Bearer second"}}).status,
      200);
}

TEST_F(Client, AMissingKeyIs401) {
  require_key("sk_local");
  CloudAnswer answer = get("/v2/sandboxes");
  expect_error(answer, 401);
  EXPECT_EQ(answer.message(), "authorization header is missing");
  expect_error(get("/v2/sandboxes", {{"X-API-KEY", ""}}), 401);
}

TEST_F(Client, AWrongKeyIs401) {
  require_key("sk_local");
  CloudAnswer answer = get("/v2/sandboxes", {{"X-API-KEY", "sk_locaL"}});
  expect_error(answer, 401);
  EXPECT_EQ(answer.message().find("Invalid API key"), 0U);
  expect_error(get("/v2/sandboxes", {{"X-API-KEY",
                                      "sk_local "
                                      "x"}}),
               401);
  expect_error(get("/v2/sandboxes", {{"Authorization", "Basic sk_local"}}), 401);
  expect_error(get("/v2/sandboxes", {{"Authorization", "sk_local"}}), 401);
}

TEST_F(Client, RoutesThatAreNotBuiltAskForTheKeyToo) {
  require_key("sk_local");
  expect_error(get("/volumes"), 401);
  expect_error(post("/sandboxes", R"({"templateID":"base"})"), 401);
  EXPECT_TRUE(service_.list().empty());
}

TEST_F(Client, HealthNeedsNoKey) {
  require_key("sk_local");
  CloudAnswer answer = get("/health");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed(), json({{"status", "ok"}}));
  EXPECT_EQ(get("//health/").status, 200);
}

TEST_F(Client, TheTeamIsOneWithTheKeyOfTheCaller) {
  json open = get("/teams").parsed();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].value("isDefault", false), true);
  EXPECT_EQ(open[0].value("apiKey", "").find("e2b_"), 0U);
  EXPECT_FALSE(open[0].value("teamID", "").empty());
  EXPECT_EQ(get("/teams", {{"Authorization", "Bearer mine"}}).parsed()[0].value("apiKey", ""),
            "mine");
}

TEST_F(Client, ABrowserMayCallFromAnyOrigin) {
  CloudAnswer preflight = ask("OPTIONS", "/sandboxes", "",
                              {{"Origin", "https://app.example"},
                               {"Access-Control-Request-Method", "POST"},
                               {"Access-Control-Request-Headers", "x-api-key, x-novita-sdk-name"}});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_TRUE(preflight.body.empty());
  EXPECT_EQ(preflight.headers.get("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(preflight.headers.get("Access-Control-Allow-Headers"), "x-api-key, x-novita-sdk-name");
  EXPECT_NE(preflight.headers.get("Access-Control-Allow-Methods").find("DELETE"),
            std::string_view::npos);
  EXPECT_EQ(get("/v2/sandboxes").headers.get("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(get("/sandboxes/nobody").headers.get("Access-Control-Allow-Origin"), "*");
}

TEST_F(Client, APreflightNeedsNoKeyBecauseBrowsersSendNone) {
  require_key("sk_local");
  EXPECT_EQ(ask("OPTIONS", "/sandboxes/x/connect").status, 204);
  EXPECT_EQ(get("/v2/sandboxes").headers.get("Access-Control-Allow-Origin"), "*");
}

TEST_F(Client, UnknownPathsAre404) {
  for (const char* path : {"/", "/nope", "/sandboxes/a/b/c", "/v2", "/v9/sandboxes", "/sandbox"}) {
    expect_error(get(path), 404);
  }
}

TEST_F(Client, AKnownPathWithAnotherMethodIs405) {
  CloudAnswer answer = ask("PATCH", "/sandboxes");
  expect_error(answer, 405);
  EXPECT_EQ(answer.headers.get("Allow"), "GET, POST");
  expect_error(ask("PUT", "/sandboxes/i1"), 405);
  expect_error(get("/sandboxes/i1/timeout"), 405);
  expect_error(post("/health"), 405);
}

TEST_F(Client, HeadIsGetWithoutTheBody) {
  CloudAnswer answer = ask("HEAD", "/health");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.empty());
  EXPECT_EQ(answer.headers.get("Content-Length"), std::to_string(get("/health").body.size()));
}

TEST_F(Client, AnAbsoluteTargetIsRoutedByItsPath) {
  EXPECT_EQ(get("http://localhost:7463/health").status, 200);
  EXPECT_EQ(get("http://api.localhost/v2/sandboxes?limit=1").status, 200);
}

TEST_F(Client, OddBytesInAPathComeBackAsValidJson) {
  expect_error(get("/templates/aliases/%ff%00%22"), 404);
  expect_error(get("/nope/%ff"), 404);
}

TEST_F(Client, OneConnectionCarriesManyRequests) {
  std::string body = R"({"templateID":"base"})";
  std::string create =
      "POST /sandboxes HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body;
  std::string bad = "POST /sandboxes HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n{";
  std::string kill = "DELETE /sandboxes/isbx1 HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
  std::string list = "GET /v2/sandboxes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
  auto talk = [](std::unique_ptr<http::ByteStream> stream,
                 std::string bytes) -> boost::asio::awaitable<std::vector<int>> {
    std::vector<int> statuses;
    auto sent = co_await stream->write_all(bytes);
    EXPECT_TRUE(sent.has_value());
    http::ClientConnection client(*stream);
    for (;;) {
      auto head = co_await client.read_head("POST");
      if (!head) break;
      statuses.push_back(head->status);
      auto rest = co_await client.read_full_body(1U << 20U);
      EXPECT_TRUE(rest.has_value());
    }
    co_return statuses;
  };
  auto [near, far] = make_memory_streams(context_.get_executor());
  base::TaskGroup group(context_.get_executor());
  http::Handler handler = [this](const http::RequestHead& head,
                                 http::ServerConnection& connection) {
    return api_->handle(head, connection);
  };
  group.spawn("server", http::serve_connection(*far, handler));
  auto statuses = run_task(context_, talk(std::move(near), create + bad + kill + list));
  EXPECT_EQ(statuses, (std::vector<int>{201, 400, 204, 200}));
  run_task(context_, group.join());
}

TEST_F(Client, AHandlerThatThrowsAnswers500) {
  struct Vanishing : FakeSandboxService {
    using FakeSandboxService::FakeSandboxService;
    base::Task<cloud::SandboxInfo> create(cloud::NewSandbox) override {
      throw std::runtime_error("bug");
    }
    std::vector<cloud::SandboxInfo> list() const override { throw std::runtime_error("bug"); }
  } service(clock_);
  api_ = std::make_unique<cloud::CloudApi>(service, clock_, cloud::CloudOptions());
  expect_error(get("/v2/sandboxes"), 500);
  expect_error(post("/sandboxes", R"({"templateID":"base"})"), 500);
  EXPECT_EQ(get("/health").status, 200);
}

}  // namespace
}  // namespace tests
