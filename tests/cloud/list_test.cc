#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

using cloud::SandboxState;

class List : public CloudTest {
 protected:
  static std::vector<std::string> ids(const CloudAnswer& answer) {
    std::vector<std::string> found;
    for (const json& item : answer.parsed()) found.push_back(item.value("sandboxID", ""));
    return found;
  }
  std::vector<std::string> listed(const std::string& query) {
    CloudAnswer answer = get("/v2/sandboxes" + query);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return ids(answer);
  }
  using Ids = std::vector<std::string>;
};

TEST_F(List, NothingIsAnEmptyArrayAndNoToken) {
  CloudAnswer answer = get("/v2/sandboxes");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "[]");
  EXPECT_FALSE(answer.headers.has("X-Next-Token"));
}

TEST_F(List, AnItemHasEveryFieldOfTheSchema) {
  std::string id = create(R"({"templateID":"base","timeout":60,"metadata":{"k":"v"}})");
  json expected = {{"templateID", "base"},
                   {"sandboxID", id},
                   {"clientID", ""},
                   {"alias", "base"},
                   {"envdVersion", "0.6.13"},
                   {"startedAt", "2026-09-21T10:00:00.123Z"},
                   {"endAt", "2026-09-21T10:01:00.123Z"},
                   {"state", "running"},
                   {"cpuCount", 2},
                   {"memoryMB", 512},
                   {"diskSizeMB", 10240},
                   {"metadata", {{"k", "v"}}},
                   {"volumeMounts", json::array()}};
  EXPECT_EQ(get("/v2/sandboxes").parsed(), json::array({expected}));
  EXPECT_EQ(get("/sandboxes").parsed(), json::array({expected}));
}

TEST_F(List, NewestComesFirstAcrossStates) {
  std::string a = service_.add();
  std::string b = service_.add({}, SandboxState::kPaused);
  std::string c = service_.add();
  EXPECT_EQ(listed(""), (Ids{c, b, a}));
  EXPECT_EQ(listed("?order=desc"), (Ids{c, b, a}));
  EXPECT_EQ(listed("?order=asc"), (Ids{a, b, c}));
}

TEST_F(List, StateTakesACommaListEncodedOrNot) {
  std::string running = service_.add();
  std::string paused = service_.add({}, SandboxState::kPaused);
  EXPECT_EQ(listed("?state=running"), (Ids{running}));
  EXPECT_EQ(listed("?state=paused"), (Ids{paused}));
  EXPECT_EQ(listed("?state=running,paused"), (Ids{paused, running}));
  EXPECT_EQ(listed("?state=running%2Cpaused"), (Ids{paused, running}));
  EXPECT_EQ(listed("?state=running&state=paused"), (Ids{paused, running}));
  EXPECT_EQ(listed("?state="), (Ids{paused, running}));
}

TEST_F(List, VersionOneListsRunningSandboxesOnly) {
  std::string running = service_.add({{"a", "1"}});
  std::string other = service_.add();
  service_.add({{"a", "1"}}, SandboxState::kPaused);
  EXPECT_EQ(ids(get("/sandboxes")), (Ids{other, running}));
  EXPECT_EQ(ids(get("/sandboxes?metadata=a%3D1")), (Ids{running}));
}

// The exact encodings of the SDKs (contract-novita 2.1).
TEST_F(List, MetadataIsDecodedThreeTimes) {
  service_.add({{"env", "prod"}});
  std::string plain = service_.add({{"env", "dev"}, {"x", "y"}});
  std::string odd = service_.add({{"my key", "v&1"}});
  std::string plus = service_.add({{"a+b", "50%"}});
  EXPECT_EQ(listed("?metadata=env%3Ddev"), (Ids{plain}));
  EXPECT_EQ(listed("?metadata=my%252520key%3Dv%2525261"), (Ids{odd}));
  EXPECT_EQ(listed("?metadata=a%25252Bb%3D50%252525"), (Ids{plus}));
  EXPECT_EQ(listed("?metadata=env%3Ddev%26x%3Dy"), (Ids{plain}));
  EXPECT_EQ(listed("?metadata=env%3Ddev%26x%3Dz"), Ids());
  EXPECT_EQ(listed("?metadata=").size(), 4U);
}

TEST_F(List, PagesFollowOneAnotherToTheEnd) {
  std::string a = service_.add();
  std::string b = service_.add();
  std::string c = service_.add();
  CloudAnswer first = get("/v2/sandboxes?limit=1");
  EXPECT_EQ(ids(first), (Ids{c}));
  std::string token(first.headers.get("x-next-token"));
  ASSERT_FALSE(token.empty());
  CloudAnswer second = get("/v2/sandboxes?limit=1&nextToken=" + token);
  EXPECT_EQ(ids(second), (Ids{b}));
  std::string last_token(second.headers.get("X-Next-Token"));
  CloudAnswer third = get("/v2/sandboxes?limit=1&nextToken=" + last_token);
  EXPECT_EQ(ids(third), (Ids{a}));
  EXPECT_FALSE(third.headers.has("X-Next-Token"));
}

TEST_F(List, PagesStayRightWhileSandboxesComeAndGo) {
  std::string a = service_.add();
  std::string b = service_.add();
  std::string c = service_.add();
  CloudAnswer first = get("/v2/sandboxes?limit=1");
  service_.remove(c);  // the very sandbox that the token names
  std::string d = service_.add();
  EXPECT_EQ(listed("?nextToken=" + std::string(first.headers.get("X-Next-Token"))), (Ids{b, a}));
}

TEST_F(List, PagesInAscendingOrderFollowTheSameRules) {
  std::string a = service_.add();
  std::string b = service_.add();
  CloudAnswer first = get("/v2/sandboxes?limit=1&order=asc");
  EXPECT_EQ(ids(first), (Ids{a}));
  std::string token(first.headers.get("X-Next-Token"));
  EXPECT_EQ(listed("?order=asc&nextToken=" + token), (Ids{b}));
  EXPECT_EQ(listed("?nextToken=" + token + "&order=asc"), (Ids{b}));
  CloudAnswer wrong = get("/v2/sandboxes?nextToken=" + token);
  expect_error(wrong, 400);
  EXPECT_EQ(wrong.message(), "Invalid next token");
}

TEST_F(List, SandboxesOfTheSameInstantAreNeitherLostNorRepeated) {
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) expected.push_back(service_.add());
  for (const std::string& id : expected) service_.at(id).started_at = clock_.now();
  std::vector<std::string> seen;
  std::string token;
  do {
    CloudAnswer page = get("/v2/sandboxes?limit=2&nextToken=" + token);
    for (const std::string& id : ids(page)) seen.push_back(id);
    token = std::string(page.headers.get("X-Next-Token"));
  } while (!token.empty());
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, expected);
}

TEST_F(List, APageHoldsAHundredByDefaultAndAtMost) {
  for (int i = 0; i < 120; ++i) service_.add();
  for (const char* query : {"", "?limit=100", "?limit=500"}) {
    CloudAnswer answer = get("/v2/sandboxes" + std::string(query));
    EXPECT_EQ(ids(answer).size(), 100U);
    EXPECT_TRUE(answer.headers.has("X-Next-Token"));
    EXPECT_EQ(answer.headers.get("X-Total-Running"), "120");
  }
  EXPECT_EQ(ids(get("/sandboxes")).size(), 120U);
}

TEST_F(List, StartedAfterIsInclusive) {
  service_.add();
  std::string b = service_.add();
  std::string c = service_.add();
  std::string start = base::format_rfc3339(service_.at(b).started_at);
  EXPECT_EQ(listed("?startedAfter=" + start), (Ids{c, b}));
  // As URLSearchParams writes it.
  std::string encoded = start;
  for (auto at = encoded.find(':'); at != std::string::npos; at = encoded.find(':')) {
    encoded.replace(at, 1, "%3A");
  }
  EXPECT_EQ(listed("?startedAfter=" + encoded), (Ids{c, b}));
  std::string later = base::format_rfc3339(service_.at(c).started_at + std::chrono::seconds(1));
  EXPECT_EQ(listed("?startedAfter=" + later), Ids());
}

TEST_F(List, TemplateMatchesTheIdOrTheAlias) {
  std::string base_one = service_.add();
  std::string other = service_.add({}, SandboxState::kRunning, "tpl7interpreter0000x");
  EXPECT_EQ(listed("?template=base"), (Ids{base_one}));
  EXPECT_EQ(listed("?template=code-interpreter-v1"), (Ids{other}));
  EXPECT_EQ(listed("?template=tpl7interpreter0000x"), (Ids{other}));
  EXPECT_EQ(listed("?template=code-interpreter-v1%3Adefault"), (Ids{other}));
  EXPECT_EQ(listed("?template=unknown-template"), Ids());
}

TEST_F(List, BadParametersAre400) {
  for (const char* query :
       {"limit=0", "limit=-1", "limit=ten", "limit=1.5", "limit=", "limit=99999999999999999999",
        "state=dead", "state=running,dead", "order=up", "startedAfter=yesterday",
        "startedAfter=2026-13-01T00:00:00Z", "metadata=novalue", "nextToken=x", "nextToken=d.x.y",
        "nextToken=d.12345.", "nextToken=d.12345"}) {
    CloudAnswer answer = get("/v2/sandboxes?" + std::string(query));
    expect_error(answer, 400);
  }
  expect_error(get("/sandboxes?metadata=novalue"), 400);
}

}  // namespace
}  // namespace tests
