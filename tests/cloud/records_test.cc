// Events, logs and memory: what is asked, what is answered, what is refused.
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Keeper final : public cloud::EventLog, public cloud::LogSource {
 public:
  base::Task<cloud::EventPage> find(cloud::EventQuery query) override {
    asked = query;
    co_return page;
  }
  base::Task<std::vector<cloud::LogEntry>> logs(std::string sandbox_id) override {
    if (sandbox_id != "i1") co_return base::fail(base::Errc::kNotFound, "who?");
    co_return entries;
  }
  cloud::EventQuery asked;
  cloud::EventPage page;
  std::vector<cloud::LogEntry> entries;
};

class Records : public CloudTest {
 protected:
  Records() {
    cloud::CloudOptions options;
    options.events = &keeper_;
    options.logs = &keeper_;
    configure(std::move(options));
  }
  void log(std::string message, cloud::LogLevel level, int at) {
    cloud::LogEntry entry;
    entry.time = base::TimePoint(std::chrono::milliseconds(at));
    entry.level = level;
    entry.message = std::move(message);
    keeper_.entries.push_back(std::move(entry));
  }
  std::string messages(const std::string& query) {
    std::string text;
    json body = get("/v2/sandboxes/i1/logs?" + query).parsed();
    for (const auto& entry : body["logs"]) {
      text += entry["message"].get<std::string>() + " ";
    }
    return text;
  }
  Keeper keeper_;
};

TEST_F(Records, EventsHaveEveryFieldOfTheSdk) {
  cloud::SandboxEvent event;
  event.number = 7;
  event.time = base::TimePoint(std::chrono::milliseconds(1789984800999));
  event.sandbox_id = "i1";
  event.template_id = "base";
  event.name = "pause";
  event.success = false;
  event.status_code = 500;
  event.error = "no \xff";
  keeper_.page = {{event}, 12};
  json body = get("/sandboxes/events?limit=1&offset=3").parsed();
  EXPECT_EQ(body["items"][0],
            json::parse(R"({"eventID":"7","recordAt":1789984800,"templateID":"base",
                            "templateName":"base","sandboxID":"i1","eventName":"pause",
                            "state":"failed","errorMsg":"no \ufffd","statusCode":500})"));
  EXPECT_EQ(body["total"], 12);
  EXPECT_EQ(body["hasMore"], true);
  EXPECT_EQ(keeper_.asked.offset, 3U);
}

TEST_F(Records, EventQueriesHaveTheClouds30And60Days) {
  get("/sandboxes/events");
  EXPECT_EQ(keeper_.asked.limit, 10U);
  EXPECT_FALSE(keeper_.asked.oldest_first);
  EXPECT_EQ(keeper_.asked.end - keeper_.asked.start, std::chrono::hours(720));
  get("/sandboxes/events?events=create,,pause&sandboxID=i&state=success&orderAsc=true&limit=");
  EXPECT_EQ(keeper_.asked.names, (std::vector<std::string>{"create", "pause"}));
  EXPECT_TRUE(keeper_.asked.oldest_first);
  EXPECT_EQ(get("/sandboxes/events?startTime=1000000&endTime=6184000").status, 200);
  for (const char* query : {"startTime=1000000&endTime=6184001", "startTime=2&endTime=1",
                            "startTime=-1", "limit=0", "limit=101", "limit=1.5", "offset=-1",
                            "offset=99999999999", "orderAsc=1", "endTime=9223372036854775807"}) {
    expect_error(get("/sandboxes/events?" + std::string(query)), 400);
  }
}

TEST_F(Records, LogsGoBothWaysFromACursor) {
  log("a", cloud::LogLevel::kDebug, 1000);
  log("b", cloud::LogLevel::kInfo, 2000);
  log("c", cloud::LogLevel::kError, 3000);
  EXPECT_EQ(messages(""), "c b a ");
  EXPECT_EQ(messages("direction=backward"), "c b a ");
  EXPECT_EQ(messages("direction=forward"), "a b c ");
  EXPECT_EQ(messages("cursor=2000&direction=forward"), "b c ");
  EXPECT_EQ(messages("cursor=2000"), "b a ");
  EXPECT_EQ(messages("level=info&limit=1"), "c ");
  EXPECT_EQ(messages("level=info&limit=1&direction=forward"), "b ");
  EXPECT_EQ(messages("search=B"), "");
  EXPECT_EQ(messages("limit=0"), "");
  EXPECT_EQ(messages("cursor=9223372036854775807&direction=forward"), "");
  json first = get("/sandboxes/i1/logs?start=3000").parsed();
  EXPECT_EQ(first["logs"].size(), 1U);
  EXPECT_EQ(first["logEntries"][0]["level"], "error");
  EXPECT_EQ(first["logEntries"][0]["timestamp"], "1970-01-01T00:00:03.000Z");
  expect_error(get("/sandboxes/i2/logs"), 404);
  for (const char* query : {"limit=1001", "cursor=-1", "direction=", "level=warning"}) {
    expect_error(get("/v2/sandboxes/i1/logs?" + std::string(query)), 400);
  }
}

TEST_F(Records, MemoryComesInBlocks) {
  std::string path = "/sandboxes/" + service_.add() + "/hotplug-memory";
  EXPECT_EQ(post(path, R"({"requested_size_mib":512})").status, 204);
  EXPECT_EQ(post(path, R"({"requested_size_mib":0})").status, 204);
  for (const char* body : {"", "{}", R"({"requested_size_mib":3})", R"({"requested_size_mib":-2})",
                           R"({"requested_size_mib":"2"})", R"({"requested_size_mib":null})",
                           R"({"requested_size_mib":4294967296})", "[]"}) {
    expect_error(post(path, body), 400);
  }
  service_.fail_next = base::Error(base::Errc::kConflict, "more memory than that is in use");
  expect_error(post(path, R"({"requested_size_mib":0})"), 409);
  expect_error(post("/sandboxes/inobody/hotplug-memory", R"({"requested_size_mib":2})"), 404);
  std::string paused = service_.add({}, cloud::SandboxState::kPaused);
  expect_error(post("/sandboxes/" + paused + "/hotplug-memory", R"({"requested_size_mib":2})"),
               409);
}

TEST_F(Records, AnIdleTimeoutIsANumberOfSeconds) {
  for (const char* text : {"0", "60", "31622400"}) {
    std::string body = R"({"templateID":"base","metadata":{"idle_timeout":")" + std::string(text);
    EXPECT_EQ(post("/sandboxes", body + "\"}}").status, 201) << text;
  }
  for (const char* text : {"", "-1", "soon", "1.5", "31622401", "99999999999999999999", " 5"}) {
    std::string body = R"({"templateID":"base","metadata":{"idle_timeout":")" + std::string(text);
    expect_error(post("/sandboxes", body + "\"}}"), 400);
  }
}

}  // namespace
}  // namespace tests
