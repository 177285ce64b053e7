#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Sandboxes : public CloudTest {};

TEST_F(Sandboxes, CreateAnswersEveryFieldOfTheSchema) {
  CloudAnswer answer = post("/sandboxes", R"({"templateID":"base"})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
  json expected = {{"templateID", "base"},
                   {"sandboxID", "isbx1"},
                   {"clientID", ""},
                   {"alias", "base"},
                   {"envdVersion", "0.6.13"},
                   {"envdAccessToken", "token-of-isbx1"},
                   {"trafficAccessToken", nullptr},
                   {"domain", "localhost:7463"}};
  EXPECT_EQ(answer.parsed(), expected);
}

TEST_F(Sandboxes, CreateIsServedUnderBothVersions) {
  EXPECT_EQ(post("/v2/sandboxes", R"({"templateID":"base"})").status, 201);
  EXPECT_EQ(post("/v2/sandboxes", R"({"templateID":"base"})").parsed()["sandboxID"], "isbx2");
}

// The captured body of novita-sandbox 2.1.1 (contract-novita 9).
TEST_F(Sandboxes, CreateTakesTheNovitaBody) {
  create(R"({"templateID":"base","metadata":{"env":"dev"},"timeout":300,"secure":true,)"
         R"("allow_internet_access":true,"autoPause":false})");
  ASSERT_TRUE(service_.last_request);
  EXPECT_EQ(service_.last_request->metadata, (cloud::StringMap{{"env", "dev"}}));
  EXPECT_EQ(service_.last_request->allow_internet_access, true);
}

TEST_F(Sandboxes, CreateFillsInTheDefaults) {
  create();
  const cloud::NewSandbox& request = *service_.last_request;
  EXPECT_EQ(request.timeout, std::chrono::seconds(300));
  EXPECT_TRUE(request.secure);
  EXPECT_FALSE(request.auto_pause);
  EXPECT_FALSE(request.metadata);
  EXPECT_FALSE(request.allow_internet_access);
  EXPECT_TRUE(request.env_vars.empty());
}

TEST_F(Sandboxes, CreateHandsEveryOptionToTheService) {
  create(R"({"templateID":"code-interpreter-v1","timeout":62,"secure":false,"autoPause":true,)"
         R"("metadata":{"a":"b c"},"envVars":{"E":"1","EMPTY":""}})");
  const cloud::NewSandbox& request = *service_.last_request;
  EXPECT_EQ(request.template_id, "code-interpreter-v1");
  EXPECT_EQ(request.timeout, std::chrono::seconds(62));
  EXPECT_FALSE(request.secure);
  EXPECT_TRUE(request.auto_pause);
  EXPECT_EQ(request.env_vars, (cloud::StringMap{{"E", "1"}, {"EMPTY", ""}}));
}

TEST_F(Sandboxes, ATokenIsAnsweredOnlyForASecuredSandbox) {
  json body = post("/sandboxes", R"({"templateID":"base","secure":false})").parsed();
  EXPECT_FALSE(body.contains("envdAccessToken"));
  EXPECT_FALSE(get("/sandboxes/isbx1").parsed().contains("envdAccessToken"));
}

TEST_F(Sandboxes, TheTimeoutIsCappedAtAnHour) {
  create(R"({"templateID":"base","timeout":7200})");
  EXPECT_EQ(service_.last_request->timeout, std::chrono::hours(1));
}

TEST_F(Sandboxes, ALongRunningSandboxIsNotCapped) {
  create(R"({"templateID":"base","timeout":86400,"metadata":{"long_running":"true"}})");
  EXPECT_EQ(service_.last_request->timeout, std::chrono::hours(24));
  create(R"({"templateID":"base","timeout":86400,"metadata":{"long_running":"yes"}})");
  EXPECT_EQ(service_.last_request->timeout, std::chrono::hours(1));
}

TEST_F(Sandboxes, OptionsThatAskForNothingAreAccepted) {
  for (const char* option :
       {R"("network":{})", R"("network":{"allowOut":[],"denyOut":[]})",
        R"("network":{"egressProxy":null,"rules":{},"httpsPorts":[]})",
        R"("autoResume":{"enabled":false})", R"("volumeMounts":[])", R"("secrets":{})",
        R"("iam":{})", R"("iam":{"tokens":{}})", R"("autoPauseMemory":true)", R"("nodeID":"")",
        R"("mcp":{"browserbase":{"apiKey":"k"}})", R"("mcp":null)",
        R"("allow_internet_access":true)", R"("allowInternetAccess":true)"}) {
    CloudAnswer answer = post("/sandboxes", R"({"templateID":"base",)" + std::string(option) + "}");
    EXPECT_EQ(answer.status, 201) << option << answer.body;
  }
}

TEST_F(Sandboxes, UnknownKeysAreIgnoredAsInTheCloud) {
  EXPECT_EQ(post("/sandboxes", R"({"templateID":"base","colour":"blue"})").status, 201);
}

TEST_F(Sandboxes, ABodyMayBeChunked) {
  std::string head =
      "POST /v2/sandboxes HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
      "content-type: application/json\r\n\r\n";
  CloudAnswer answer =
      exchange(head + "7\r\n{\"templ\r\n11\r\nateID\":\"base\"    \r\n1\r\n}\r\n0\r\n\r\n", "POST");
  EXPECT_EQ(answer.status, 201) << answer.body;
}

TEST_F(Sandboxes, ARequestMayArriveByteByByte) {
  stream_options_.read_limit = 1;
  EXPECT_EQ(post("/sandboxes", R"({"templateID":"base"})").status, 201);
}

TEST_F(Sandboxes, TheDomainIsLeftToClientsThatCameByOne) {
  HeaderList by_name = {{"Host", "api.sbx.localhost:3443"}};
  json body = post("/sandboxes", R"({"templateID":"base"})", by_name).parsed();
  ASSERT_TRUE(body.contains("domain"));
  EXPECT_TRUE(body["domain"].is_null());
  EXPECT_TRUE(get("/sandboxes/isbx1", {{"Host", "API.localhost"}}).parsed()["domain"].is_null());
  EXPECT_EQ(get("/sandboxes/isbx1").parsed()["domain"], "localhost:7463");
}

TEST_F(Sandboxes, GetAnswersEveryFieldOfTheSchema) {
  std::string id = create(R"({"templateID":"base","timeout":60,"metadata":{"k":"v"},)"
                          R"("allow_internet_access":true,"autoPause":true})");
  CloudAnswer answer = get("/sandboxes/" + id);
  EXPECT_EQ(answer.status, 200);
  json expected = {{"templateID", "base"},
                   {"sandboxID", id},
                   {"clientID", ""},
                   {"alias", "base"},
                   {"envdVersion", "0.6.13"},
                   {"envdAccessToken", "token-of-isbx1"},
                   {"startedAt", "2026-09-21T10:00:00.123Z"},
                   {"endAt", "2026-09-21T10:01:00.123Z"},
                   {"state", "running"},
                   {"cpuCount", 2},
                   {"memoryMB", 512},
                   {"diskSizeMB", 10240},
                   {"metadata", {{"k", "v"}}},
                   {"volumeMounts", json::array()},
                   {"allowInternetAccess", true},
                   {"domain", "localhost:7463"},
                   {"lifecycle", {{"onTimeout", "pause"}, {"autoResume", false}}}};
  EXPECT_EQ(answer.parsed(), expected);
}

TEST_F(Sandboxes, AutoResumeIsAskedForAndShown) {
  json body = {{"templateID", "base"}, {"autoPause", true}, {"autoResume", {{"enabled", true}}}};
  std::string id = post("/sandboxes", body.dump()).parsed()["sandboxID"];
  EXPECT_TRUE(service_.last_request->auto_resume);
  EXPECT_EQ(get("/sandboxes/" + id).parsed()["lifecycle"],
            json::parse(R"({"onTimeout":"pause","autoResume":true})"));
}

TEST_F(Sandboxes, MetadataIsAnsweredAsItWasSent) {
  EXPECT_FALSE(get("/sandboxes/" + create()).parsed().contains("metadata"));
  std::string empty = create(R"({"templateID":"base","metadata":{}})");
  EXPECT_EQ(get("/sandboxes/" + empty).parsed()["metadata"], json::object());
  std::string odd = create(R"({"templateID":"base","metadata":{"ключ":"ü\"\\\n","":"x"}})");
  EXPECT_EQ(get("/sandboxes/" + odd).parsed()["metadata"], json({{"ключ", "ü\"\\\n"}, {"", "x"}}));
}

TEST_F(Sandboxes, InternetAccessIsNullWhenItWasNotSent) {
  json body = get("/sandboxes/" + create()).parsed();
  ASSERT_TRUE(body.contains("allowInternetAccess"));
  EXPECT_TRUE(body["allowInternetAccess"].is_null());
}

TEST_F(Sandboxes, KillingTwiceAnswers204Then404) {
  std::string id = create();
  CloudAnswer first = ask("DELETE", "/sandboxes/" + id);
  EXPECT_EQ(first.status, 204);
  EXPECT_TRUE(first.body.empty());
  CloudAnswer second = ask("DELETE", "/sandboxes/" + id);
  expect_error(second, 404);
  EXPECT_EQ(second.message(), "Sandbox \"isbx1\" doesn't exist or you don't have access to it");
}

TEST_F(Sandboxes, AnIdMayCarryASuffixAndAnEncoding) {
  std::string id = create();
  EXPECT_EQ(get("/sandboxes/" + id + "-6532622b").status, 200);
  EXPECT_EQ(get("/sandboxes/" + id + "-a-b").status, 200);
  EXPECT_EQ(get("/sandboxes/%69sbx1").status, 200);
  EXPECT_EQ(get("//sandboxes//" + id).status, 200);
  EXPECT_EQ(get("/sandboxes/" + id + "/").status, 200);
}

TEST_F(Sandboxes, AServiceErrorBecomesItsStatus) {
  struct Row {
    base::Errc code;
    int status;
  };
  for (Row row : {Row{base::Errc::kResourceExhausted, 429}, Row{base::Errc::kNoSpace, 507},
                  Row{base::Errc::kUnavailable, 503}, Row{base::Errc::kInternal, 500},
                  Row{base::Errc::kDeadlineExceeded, 504}, Row{base::Errc::kPermissionDenied, 403},
                  Row{base::Errc::kNotFound, 404}}) {
    service_.fail_next = base::Error(row.code, "what happened");
    CloudAnswer answer = post("/sandboxes", R"({"templateID":"base"})");
    expect_error(answer, row.status);
    EXPECT_EQ(answer.message(), "what happened");
  }
}

}  // namespace
}  // namespace tests
