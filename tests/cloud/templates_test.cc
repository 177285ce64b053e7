#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Templates : public CloudTest {
 protected:
  static constexpr std::string_view kName = "X-Novita-SDK-Name";
};

TEST_F(Templates, TheListHasEveryFieldOfTheSchema) {
  CloudAnswer answer = get("/templates");
  EXPECT_EQ(answer.status, 200);
  json body = answer.parsed();
  ASSERT_EQ(body.size(), 2U);
  json expected = {{"templateID", "base"},
                   {"buildID", "11111111-2222-4333-8444-555555555555"},
                   {"buildStatus", "ready"},
                   {"names", {"base"}},
                   {"aliases", {"base"}},
                   {"templateType", "template_build"},
                   {"public", true},
                   {"cpuCount", 2},
                   {"memoryMB", 512},
                   {"diskSizeMB", 10240},
                   {"envdVersion", "0.6.13"},
                   {"buildCount", 1},
                   {"spawnCount", 0},
                   {"createdAt", "2026-09-21T10:00:00.123Z"},
                   {"updatedAt", "2026-09-21T10:00:00.123Z"},
                   {"lastSpawnedAt", nullptr},
                   {"createdBy", nullptr}};
  EXPECT_EQ(body[0], expected);
  EXPECT_EQ(body[1]["templateID"], "tpl7interpreter0000x");
}

TEST_F(Templates, NovitaGetsAnObjectWithPages) {
  CloudAnswer answer = get("/v2/templates?template_type=template_build&page=1&limit=20",
                           {{std::string(kName), "sdk_js"}});
  json body = answer.parsed();
  EXPECT_EQ(body["total"], 2);
  EXPECT_EQ(body["page"], 1);
  EXPECT_EQ(body["limit"], 20);
  EXPECT_EQ(body["totalPages"], 1);
  EXPECT_EQ(body["templates"].size(), 2U);
}

TEST_F(Templates, NovitaIsKnownByItsUserAgentToo) {
  EXPECT_TRUE(
      get("/v2/templates", {{"User-Agent", "novita-sandbox-sdk-js/2.1.1"}}).parsed().is_object());
  EXPECT_TRUE(get("/v2/templates", {{"user-agent", "Novita-cli/1"}}).parsed().is_object());
  EXPECT_TRUE(get("/v2/templates", {{"User-Agent", "e2b-js-sdk/2.51.0"}}).parsed().is_array());
  EXPECT_TRUE(get("/v2/templates").parsed().is_array());
}

TEST_F(Templates, NovitaPagesEndEmpty) {
  auto page = [this](const std::string& query) {
    return get("/v2/templates?" + query, {{std::string(kName), "sdk_js"}}).parsed();
  };
  EXPECT_EQ(page("page=1&limit=1")["templates"][0]["templateID"], "base");
  EXPECT_EQ(page("page=2&limit=1")["templates"][0]["templateID"], "tpl7interpreter0000x");
  EXPECT_EQ(page("page=2&limit=1")["totalPages"], 2);
  EXPECT_TRUE(page("page=3&limit=1")["templates"].empty());
  EXPECT_TRUE(page("page=18446744073709551615&limit=100")["templates"].empty());
  EXPECT_EQ(page("template_type=snapshot_template")["total"], 0);
  expect_error(get("/v2/templates?page=0", {{std::string(kName), "sdk_js"}}), 400);
  expect_error(get("/v2/templates?limit=x", {{std::string(kName), "sdk_js"}}), 400);
}

TEST_F(Templates, E2bGetsArraysAndATokenForTheNext) {
  CloudAnswer first = get("/v2/templates?limit=1");
  ASSERT_EQ(first.parsed().size(), 1U);
  EXPECT_EQ(first.parsed()[0]["templateID"], "base");
  std::string token(first.headers.get("X-Next-Token"));
  ASSERT_FALSE(token.empty());
  CloudAnswer second = get("/v2/templates?limit=1&nextToken=" + token);
  ASSERT_EQ(second.parsed().size(), 1U);
  EXPECT_EQ(second.parsed()[0]["templateID"], "tpl7interpreter0000x");
  EXPECT_FALSE(second.headers.has("X-Next-Token"));
  expect_error(get("/v2/templates?nextToken=garbage"), 400);
}

TEST_F(Templates, AnAliasExistsOrDoesNot) {
  EXPECT_EQ(get("/templates/aliases/code-interpreter-v1").parsed(),
            json({{"templateID", "tpl7interpreter0000x"}, {"public", true}}));
  EXPECT_EQ(get("/templates/aliases/base").status, 200);
  EXPECT_EQ(get("/templates/aliases/base%3Adefault").status, 200);
  CloudAnswer missing = get("/templates/aliases/nope");
  expect_error(missing, 404);
  EXPECT_EQ(missing.message(), "template 'nope' not found");
  expect_error(get("/templates/aliases/base%3Av2"), 404);
  CloudAnswer encoded = get("/templates/aliases/ns%2Fname");
  expect_error(encoded, 404);
  EXPECT_EQ(encoded.message(), "template 'ns/name' not found");
}

}  // namespace
}  // namespace tests
