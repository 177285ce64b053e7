// The secret routes in both shapes: bodies, errors, and that no answer shows a value; the secrets
// of a create, and those that header rules name.
#include "fakeapi/cloud/secret_markers.h"
#include "fakeapi/cloud/secret_rules.h"
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

using base::Errc;
using List = std::vector<std::string>;

class Secrets : public CloudTest {
 protected:
  CloudAnswer novita(std::string method, std::string target, std::string body = "") {
    return ask(std::move(method), std::move(target), std::move(body),
               {{"X-Novita-SDK-Name", "sdk_js"}});
  }
  CloudAnswer create_with(const std::string& members) {
    return post("/sandboxes", R"({"templateID":"base",)" + members + "}");
  }
};

TEST_F(Secrets, NovitaCreatesABinding) {
  CloudAnswer answer = novita("POST", "/secrets",
                              R"({"name":"My.key-1","value":"sk-9","hosts":[" API.Example.com ",)"
                              R"("*.b.test","api.example.com"],"description":"d"})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  json expected = {{"name", "My.key-1"},
                   {"hosts", {"api.example.com", "*.b.test"}},
                   {"placeholder", "novita_secret_00ff"},
                   {"description", "d"},
                   {"hasSecret", true},
                   {"status", "active"},
                   {"updatedAt", "2026-09-21T10:00:01.123Z"}};
  EXPECT_EQ(answer.parsed(), expected);
  EXPECT_EQ(secrets_.last_value, "sk-9");
  EXPECT_EQ(answer.headers.get("Cache-Control"), "no-store");
}

TEST_F(Secrets, NovitaListsReadsReplacesAndDeletes) {
  json binding = novita("GET", "/secrets/s1").parsed();
  EXPECT_EQ(binding["name"], "s1");
  EXPECT_TRUE(binding["description"].is_null());
  EXPECT_EQ(novita("GET", "/secrets").parsed(), (json{{"secrets", json::array({binding})}}));
  CloudAnswer answer =
      novita("PUT", "/secrets/s1", R"({"value":"sk-10","hosts":["c.test"],"description":"new"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed()["hosts"], json::array({"c.test"}));
  EXPECT_EQ(secrets_.last_value, "sk-10");
  novita("PUT", "/secrets/s1", R"({"value":"sk-11","hosts":["c.test"]})");
  EXPECT_EQ(secrets_.known[0].description, "new") << "what is absent stays";
  novita("PUT", "/secrets/s1", R"({"value":"sk-11","hosts":["c.test"],"description":null})");
  EXPECT_FALSE(secrets_.known[0].description);
  answer = novita("DELETE", "/secrets/s1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed(), (json{{"deleted", "s1"}}));
}

TEST_F(Secrets, NovitaErrorsSayWhatIsWrong) {
  CloudAnswer taken = novita("POST", "/secrets", R"({"name":"s1","value":"x","hosts":["a.test"]})");
  expect_error(taken, 409);
  EXPECT_EQ(taken.message(), "secret 's1' already exists");
  for (const char* method : {"GET", "DELETE"}) {
    expect_error(novita(method, "/secrets/nobody"), 404);
    expect_error(novita(method, "/secrets/a%20b"), 400);
  }
  expect_error(novita("PUT", "/secrets/nobody", R"({"value":"x","hosts":["a.test"]})"), 404);
  EXPECT_EQ(secrets_.known.size(), 1U);
}

TEST_F(Secrets, BadBodiesAre400AndShowNoValue) {
  const std::string kValue = R"("value":"sk-live-secret")";
  for (const std::string& body :
       {std::string(), std::string("x"), std::string("[]"), std::string("{}"), "{" + kValue,
        R"({"name":"n",)" + kValue + "}", R"({"name":"n",)" + kValue + R"(,"hosts":[]})",
        R"({"name":"n",)" + kValue + R"(,"hosts":"a.test"})",
        R"({"name":"n",)" + kValue + R"(,"hosts":[1]})",
        R"({"name":"",)" + kValue + R"(,"hosts":["a.test"]})",
        R"({"name":"-n",)" + kValue + R"(,"hosts":["a.test"]})",
        R"({"name":"a b",)" + kValue + R"(,"hosts":["a.test"]})",
        R"({"name":"n",)" + kValue + R"(,"hosts":["a.test"],"description":1})",
        std::string(R"({"name":"n","hosts":["a.test"]})"),
        std::string(R"({"name":"n","value":"","hosts":["a.test"]})"),
        std::string(R"({"name":"n","value":5,"hosts":["a.test"]})"),
        std::string(R"({"name":"n","value":"sk-live-secret\n","hosts":["a.test"]})"),
        std::string(R"({"name":"n","value":"sk-live-secret\r\nX: y","hosts":["a.test"]})"),
        R"({"name":"n","value":")" + std::string(20000, 'x') + R"(","hosts":["a.test"]})"}) {
    CloudAnswer answer = novita("POST", "/secrets", body);
    expect_error(answer, 400);
    EXPECT_EQ(answer.body.find("sk-live"), std::string::npos) << answer.body;
  }
  expect_error(novita("PUT", "/secrets/s1", R"({"value":"x"})"), 400);
  EXPECT_EQ(secrets_.known.size(), 1U);
}

TEST_F(Secrets, HostsAreNamesOrWildcards) {
  auto hosts = cloud::normalise_secret_hosts({"A.b-1.com", "*.X.org", "localhost", "10.0.0.1"});
  ASSERT_TRUE(hosts);
  EXPECT_EQ(*hosts, (List{"a.b-1.com", "*.x.org", "localhost", "10.0.0.1"}));
  for (const char* host : {"",        " ",         "https://a.com",
                           "a.com/x", "a.com:443", "u@a.com",
                           "a.com?",  "a.com#",    "*",
                           "*.",      "a.*.com",   "**.a.com",
                           "*a.com",  "a..b",      ".a.com",
                           "a.com.",  "-a.com",    "a-.com",
                           "a_b.com", "a b.com",   "\xc3\xa4.com"}) {
    EXPECT_FALSE(cloud::normalise_secret_hosts({host})) << host;
  }
  EXPECT_FALSE(cloud::normalise_secret_hosts({std::string(64, 'a') + ".com"}));
  EXPECT_TRUE(cloud::normalise_secret_hosts({std::string(63, 'a') + ".com"}));
  EXPECT_FALSE(cloud::normalise_secret_hosts({}));
}

TEST_F(Secrets, E2bHasItsOwnShape) {
  CloudAnswer answer =
      post("/secrets", R"({"name":" OpenAI_key ","value":"sk-9","metadata":{"env":"test"}})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  json expected = {{"secretID", "sec_00000000000000000000000001"},
                   {"name", "openai_key"},
                   {"currentVersion", 1},
                   {"metadata", {{"env", "test"}}},
                   {"createdAt", "2026-09-21T10:00:01.123Z"},
                   {"updatedAt", "2026-09-21T10:00:01.123Z"}};
  EXPECT_EQ(answer.parsed(), expected);
  EXPECT_EQ(get("/secrets/OPENAI_KEY").parsed(), expected);
  EXPECT_EQ(get("/secrets/sec_00000000000000000000000001").parsed(), expected);
  answer = post("/secrets/openai_key", R"({"value":"sk-10"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed()["currentVersion"], 2);
  EXPECT_EQ(answer.parsed()["metadata"], (json{{"env", "test"}})) << "what is absent stays";
  EXPECT_EQ(post("/secrets/openai_key", R"({"value":"sk-10","metadata":{}})").parsed()["metadata"],
            json::object());
  EXPECT_EQ(ask("DELETE", "/secrets/sec_00000000000000000000000001").status, 204);
  EXPECT_EQ(get("/secrets/s1").parsed()["metadata"], json::object());
}

TEST_F(Secrets, E2bListsInPages) {
  for (const char* name : {"a", "b", "c"}) {
    post("/secrets", R"({"value":"x","name":")" + std::string(name) + "\"}");
  }
  std::string names;
  std::string token;
  do {
    CloudAnswer page = get("/secrets?limit=3&nextToken=" + token);
    for (const json& item : page.parsed()) names += item["name"].get<std::string>() + " ";
    token = page.headers.get("X-Next-Token");
    names += "| ";
  } while (!token.empty());
  EXPECT_EQ(names, "s1 a b | c | ");
  expect_error(get("/secrets?limit=0"), 400);
  expect_error(get("/secrets?nextToken=x"), 400);
}

TEST_F(Secrets, E2bErrorsAreFixedSentences) {
  const std::string kInvalid = "Invalid secrets request";
  for (const char* body :
       {"", "x", "[]", "{}", R"({"name":"a.b","value":"x"})", R"({"name":"sec_x","value":"x"})",
        R"({"name":"n","value":""})", R"({"name":"n","value":"x","metadata":{"a":1}})",
        R"({"name":"n","value":"x","metadata":[]})"}) {
    CloudAnswer answer = post("/secrets", body);
    expect_error(answer, 400);
    EXPECT_EQ(answer.message(), kInvalid);
  }
  EXPECT_EQ(get("/secrets/sec_abc").message(), "Secret not found");
  EXPECT_EQ(get("/secrets/a.b").message(), kInvalid);
  EXPECT_EQ(ask("DELETE", "/secrets/nobody").message(), "Secret not found");
  EXPECT_EQ(post("/secrets/nobody", R"({"value":"x"})").status, 404);
  CloudAnswer taken = post("/secrets", R"({"name":"S1","value":"x"})");
  expect_error(taken, 409);
  EXPECT_EQ(taken.message(), "Secret cannot be modified in its current state");
  json many = json::object();
  for (int n = 0; n < 33; ++n) many["k" + std::to_string(n)] = "v";
  json body = {{"name", "n"}, {"value", "x"}, {"metadata", many}};
  expect_error(post("/secrets", body.dump()), 400);
  body["metadata"] = {{"k", std::string(1025, 'v')}};
  expect_error(post("/secrets", body.dump()), 400);
}

TEST_F(Secrets, ACreatePassesNamesOn) {
  EXPECT_EQ(create_with(R"("envVars":{"A":"1"},"secrets":{"TOKEN":"s1"})").status, 201);
  EXPECT_EQ(service_.last_request->secrets, (cloud::StringMap{{"TOKEN", "s1"}}));
}

TEST_F(Secrets, BadSecretsOfACreateAre400) {
  CloudAnswer both = create_with(R"("envVars":{"TOKEN":"1"},"secrets":{"TOKEN":"s1"})");
  expect_error(both, 400);
  EXPECT_EQ(both.message(), "envVars and secrets both define \"TOKEN\"");
  for (const char* secrets : {R"({"1A":"s1"})", R"({"A-B":"s1"})", R"({"":"s1"})", R"({"A=":"s1"})",
                              R"({"A":""})", R"({"A":"a b"})", R"({"A":null})"}) {
    expect_error(create_with("\"secrets\":" + std::string(secrets)), 400);
  }
  EXPECT_FALSE(service_.last_request);
  service_.fail_next = base::Error(Errc::kInvalidArgument, "secret 'x' not found");
  EXPECT_EQ(create_with(R"("secrets":{"A":"x"})").message(), "secret 'x' not found");
}

TEST_F(Secrets, MarkersAreFoundInHeaderValues) {
  struct Case {
    const char* value;
    List names;
  };
  for (const Case& each : {Case{"plain ${HOME}", {}}, Case{"Bearer ${e2b.secrets.key}", {"key"}},
                           Case{"${e2b.secrets.A}:${e2b.secrets. b-1 }", {"a", "b-1"}},
                           Case{"${e2b.identity.tokens.aws} ${e2b.secrets.k}", {"k"}}}) {
    auto markers = cloud::find_secret_markers(each.value);
    ASSERT_TRUE(markers) << each.value;
    List names;
    for (const auto& marker : *markers) names.push_back(marker.name);
    EXPECT_EQ(names, each.names) << each.value;
  }
  auto one = cloud::find_secret_markers("Bearer ${e2b.secrets.key}!");
  EXPECT_EQ(one->front().begin, 7U);
  EXPECT_EQ(one->front().end, 25U);
  for (const char* value :
       {"${e2b.secrets.key", "${e2b.secrets.}", "${e2b.secrets.a b}", "${e2b.secrets.sec_x}",
        "${e2b.identity.tokens.}", "${e2b.secrets.${e2b.secrets.a}}"}) {
    auto broken = cloud::find_secret_markers(value);
    ASSERT_FALSE(broken) << value;
    EXPECT_EQ(broken.error().message(),
              "Network transform header contains a malformed E2B placeholder.");
  }
}

TEST_F(Secrets, RulesWithBrokenOrTooManyMarkersAre400) {
  auto with = [this](const json& headers) {
    json network = {{"rules", {{"a.test", {{{"transform", {{"headers", headers}}}}}}}}};
    return create_with("\"network\":" + network.dump());
  };
  EXPECT_EQ(with({{"A", "${e2b.secrets.any}"}}).status, 201) << "nobody asks whether there is one";
  EXPECT_EQ(with({{"A", "${e2b.secrets.any"}}).message(),
            "Network transform header contains a malformed E2B placeholder.");
  std::string value;
  for (int n = 0; n < 33; ++n) value += "${e2b.secrets.n" + std::to_string(n) + "}";
  EXPECT_EQ(with({{"A", value}}).message(),
            "Rule domain \"a.test\" references more than 32 secrets.");
}

}  // namespace
}  // namespace tests
