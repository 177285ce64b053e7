// The server's frame: routes, methods, CORS, the access token, the Connect protocol's own errors,
// /envs, /metrics, /init.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakeapi/http/gzip.h"
#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

using fakeapi::http::Headers;

Reply rpc(const RunningAgent& agent,
          Headers headers,
          const std::string& body,
          const std::string& method = "filesystem.Filesystem/Stat") {
  return agent.client().request("POST", "/" + method, std::move(headers), body);
}

TEST(Frame, HealthIsAnEmpty204) {
  RunningAgent agent;
  Reply reply = agent.client().request("GET", "/health");
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers.get("Cache-Control"), "no-store");
  EXPECT_EQ(reply.headers.get("Vary"), "Origin");
  EXPECT_FALSE(reply.headers.has("Access-Control-Allow-Origin"));
}

TEST(Frame, UnknownPathsAndMethods) {
  RunningAgent agent;
  Reply unknown = agent.client().request("GET", "/nope");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, "404 page not found\n");
  Reply method = agent.client().request("DELETE", "/files");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.get("Allow"), "GET, POST");
  EXPECT_EQ(rpc(agent, {{"Content-Type", "application/json"}}, "{}", "process.Process/Nope").status,
            404);
}

TEST(Frame, PreflightComesBeforeTheTokenCheck) {
  RunningAgent agent("token");
  Reply reply = agent.client().request("OPTIONS", "/process.Process/Start",
                                       {{"Origin", "https://x"},
                                        {"Access-Control-Request-Method", "POST"},
                                        {"Access-Control-Request-Headers", "x-access-token"}});
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers.get("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(reply.headers.get("Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(reply.headers.get("Access-Control-Allow-Headers"), "x-access-token");
  EXPECT_EQ(reply.headers.get("Access-Control-Max-Age"), "7200");
  Reply plain = agent.client().request("GET", "/health", {{"Origin", "https://x"}});
  EXPECT_EQ(plain.headers.get("Access-Control-Allow-Origin"), "*");
  EXPECT_THAT(std::string(plain.headers.get("Access-Control-Expose-Headers")),
              testing::HasSubstr("Grpc-Status"));
}

TEST(Frame, PreflightForAnotherMethodIsNoYes) {
  RunningAgent agent;
  Reply reply = agent.client().request(
      "OPTIONS", "/files",
      {{"Origin", "https://example.com"}, {"Access-Control-Request-Method", "TRACE"}});
  EXPECT_EQ(reply.status, 204);
  EXPECT_FALSE(reply.headers.has("Access-Control-Allow-Origin"));
  EXPECT_FALSE(reply.headers.has("Access-Control-Allow-Methods"));
}

TEST(Frame, TokenIsAskedForEverywhereButOnTheOpenRoutes) {
  RunningAgent agent("token");
  json refusal = {
      {"code", 401},
      {"message",
       "unauthorized access, please provide a valid access token or method signing if supported"}};
  Reply reply = rpc(agent, {{"Content-Type", "application/json"}}, R"({"path":"/"})");
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(json::parse(reply.body), refusal);
  EXPECT_EQ(agent.client().request("GET", "/envs").status, 401);
  EXPECT_EQ(agent.client().request("GET", "/envs", {{"X-Access-Token", "tokem"}}).status, 401);
  EXPECT_EQ(agent.client().request("GET", "/envs", {{"X-Access-Token", "token"}}).status, 200);
  EXPECT_EQ(agent.client().request("GET", "/health").status, 204);
  reply = rpc(agent, {{"Content-Type", "application/json"}, {"X-Access-Token", "token"}},
              R"({"path":"/"})");
  EXPECT_EQ(reply.status, 200);
}

TEST(Frame, EnvsShowsUserAndInternalVariables) {
  RunningAgent agent;
  Reply reply = agent.client().request("GET", "/envs");
  EXPECT_EQ(json::parse(reply.body), json({{"E2B_EVENTS_ADDRESS", "http://192.0.2.1"},
                                           {"E2B_SANDBOX", "true"},
                                           {"E2B_SANDBOX_ID", "i0123456789abcdefghij"},
                                           {"E2B_TEMPLATE_ID", "base"},
                                           {"FROM_CREATE", "yes"}}));
}

TEST(Frame, MetricsHaveEveryField) {
  RunningAgent agent;
  json body = json::parse(agent.client().request("GET", "/metrics").body);
  for (const char* name : {"ts", "cpu_count", "cpu_used_pct", "mem_total", "mem_used", "mem_cache",
                           "mem_total_mib", "mem_used_mib", "disk_total", "disk_used"}) {
    EXPECT_TRUE(body.contains(name) && body[name].is_number()) << name;
  }
  EXPECT_EQ(body["mem_total_mib"], 512);
  EXPECT_EQ(body["cpu_count"], 2);
}

TEST(Frame, KeepAliveCarriesManyRequests) {
  RunningAgent agent;
  Client client = agent.client();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.request("GET", "/health").status, 204);
  Headers headers = {{"Content-Type", "application/json"}};
  EXPECT_EQ(
      client.request("POST", "/filesystem.Filesystem/Stat", headers, R"({"path":"/"})").status,
      200);
  EXPECT_EQ(
      client.request("POST", "/filesystem.Filesystem/Stat", headers, R"({"path":"/x"})").status,
      404);
  EXPECT_EQ(client.request("GET", "/health").status, 204);
}

TEST(Init, TokenRules) {
  RunningAgent agent;
  auto init = [&](const json& body) {
    return agent.client().request("POST", "/init", {}, body.dump());
  };
  Reply first = init({{"accessToken", "one"}, {"defaultUser", "root"}, {"envVars", {{"A", "b"}}}});
  EXPECT_EQ(first.status, 204);
  EXPECT_EQ(first.headers.get("X-Envd-Version"), "0.6.13");
  Reply wrong = init({{"accessToken", "two"}});
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(wrong.body, "access token validation failed\n");
  Reply none = init(json::object());
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.body, "access token reset not authorized\n");
  json envs = json::parse(agent.client().request("GET", "/envs", {{"X-Access-Token", "one"}}).body);
  EXPECT_EQ(envs["A"], "b");
  EXPECT_FALSE(envs.contains("FROM_CREATE")) << "the set is replaced";
  EXPECT_EQ(agent.client().request("POST", "/init", {}, "not json").status, 400);
  EXPECT_EQ(init({{"accessToken", "one"}, {"caBundle", "PEM"}}).status, 501);
}

TEST(Init, WhatHasAnotherTypeChangesNothing) {
  RunningAgent agent;
  for (const char* body :
       {R"({"accessToken":5,"defaultUser":"root"})", R"({"defaultUser":["root"]})",
        R"({"envVars":["A"],"defaultUser":"root"})", R"({"envVars":{"A":1},"defaultUser":"root"})",
        R"({"timestamp":"yesterday","defaultUser":"root"})",
        R"({"timestamp":7,"defaultUser":"root"})",
        R"({"accessToken":"\u0061","defaultUser":"root"})",
        R"({"accessToken":"a\"b","defaultUser":"root"})"}) {
    Reply reply = agent.client().request("POST", "/init", {}, body);
    EXPECT_EQ(reply.status, 400) << body;
  }
  EXPECT_EQ(agent.start("id -u").finish().stdout_bytes, "1000\n");
  for (const char* body : {R"({"timestamp":"0001-01-01T00:00:00Z"})",
                           R"({"timestamp":"9999-12-31T23:59:59Z","envVars":{"A":"z"}})"}) {
    EXPECT_EQ(agent.client().request("POST", "/init", {}, body).status, 204) << body;
  }
  EXPECT_EQ(json::parse(agent.client().request("GET", "/envs").body)["A"], "z");
}

TEST(Caller, WithoutAnyDefaultUserHasToBeNamed) {
  RunningAgent agent("", RunningAgent::Role::kProcess, RunningAgent::Life::kNamed);
  agent.claim("", "");
  auto [status, body] = agent.call("filesystem.Filesystem/Stat", {{"path", "x"}});
  EXPECT_EQ(status, 401);
  EXPECT_EQ(body, json({{"code", "unauthenticated"}, {"message", "no user specified"}}));
  Stream stream = agent.start("true");
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.end()["error"]["message"], "no user specified");
  for (const char* method : {"GET", "POST"}) {
    Reply reply = agent.client().request(method, "/files?path=x");
    EXPECT_EQ(reply.status, 400) << method;
    EXPECT_EQ(json::parse(reply.body), json({{"code", 400}, {"message", "username not provided"}}));
  }
  EXPECT_EQ(agent.call("filesystem.Filesystem/Stat", {{"path", "."}}, as_user("user")).first, 200);
}

TEST(Connect, ContentTypesAndMethods) {
  RunningAgent agent;
  Reply type = rpc(agent, {{"Content-Type", "text/plain"}}, "{}");
  EXPECT_EQ(type.status, 415);
  EXPECT_EQ(type.headers.get("Accept-Post"), "application/json, application/proto");
  Reply method = agent.client().request("GET", "/filesystem.Filesystem/Stat");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.get("Allow"), "POST");
  Reply charset =
      rpc(agent, {{"Content-Type", "application/json; charset=utf-8"}}, R"({"path":"/"})");
  EXPECT_EQ(charset.status, 200);
  EXPECT_EQ(charset.headers.get("Content-Type"), "application/json");
}

TEST(Connect, BadRequestsAreInvalidArgument) {
  RunningAgent agent;
  for (const char* body : {"", "{", "[]", R"({"path":5})"}) {
    Reply reply = rpc(agent, {{"Content-Type", "application/json"}}, body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(json::parse(reply.body)["code"], "invalid_argument") << body;
  }
  Headers headers = {{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "2"}};
  EXPECT_EQ(rpc(agent, headers, "{}").status, 400);
  headers = {{"Content-Type", "application/json"}, {"Connect-Timeout-Ms", "soon"}};
  EXPECT_EQ(rpc(agent, headers, "{}").status, 400);
}

TEST(Connect, JsonAcceptsWhatProto3Allows) {
  RunningAgent agent;
  Headers headers = {{"Content-Type", "application/json"}};
  std::string list = "filesystem.Filesystem/ListDir";
  EXPECT_EQ(
      rpc(agent, headers, R"({"path":"/proc/self","depth":"1","unknown":{"a":[1]}})", list).status,
      200);
  EXPECT_EQ(rpc(agent, headers, R"({"path":null})", list).status, 200);
  EXPECT_EQ(rpc(agent, headers, R"({"path":"/","include_entry":true})",
                "filesystem.Filesystem/CreateWatcher")
                .status,
            200);
}

TEST(Connect, GzipRequestsAreRead) {
  RunningAgent agent;
  std::string body;
  fakeapi::http::GzipWriter writer;
  writer.write(R"({"path":"/"})", body);
  writer.finish(body);
  EXPECT_EQ(
      rpc(agent, {{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}}, body).status,
      200);
  Reply other =
      rpc(agent, {{"Content-Type", "application/json"}, {"Content-Encoding", "br"}}, body);
  EXPECT_EQ(other.status, 501);
}

TEST(Connect, BinaryUnaryMessages) {
  RunningAgent agent;
  Reply reply = rpc(agent, {{"Content-Type", "application/proto"}}, std::string("\x0A\x01/", 3));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("Content-Type"), "application/proto");
  EXPECT_EQ(reply.body.substr(2, 3), std::string("\x0A\x01/", 3));
  reply = rpc(agent, {{"Content-Type", "application/proto"}}, "\xFF");
  EXPECT_EQ(json::parse(reply.body)["code"], "invalid_argument");
}

}  // namespace
}  // namespace envd_tests
