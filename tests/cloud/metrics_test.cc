// GET /sandboxes/{id}/metrics and GET /sandboxes/metrics (contract-novita 2.1).
#include <string>

#include <gtest/gtest.h>

#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

class Metrics : public CloudTest {
 protected:
  std::string create() {
    return post("/sandboxes", R"({"templateID":"base"})").parsed()["sandboxID"];
  }
  static cloud::MetricSample sample(std::int64_t milliseconds) {
    cloud::MetricSample item;
    item.time = base::TimePoint(std::chrono::milliseconds(milliseconds));
    item.cpu_count = 2;
    item.cpu_used_percent = 12.5;
    item.memory_used = 1 << 20;
    item.memory_total = 512LL << 20;
    item.memory_cache = 4096;
    item.disk_used = 8192;
    item.disk_total = 10LL << 30;
    return item;
  }
};

TEST_F(Metrics, AreAnArrayOfSamplesWithEveryField) {
  std::string id = create();
  EXPECT_EQ(get("/sandboxes/" + id + "/metrics").parsed(), json::array());
  service_.samples = {sample(1789984800123)};
  CloudAnswer answer = get("/sandboxes/" + id + "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.parsed(), json::parse(R"([{
    "timestamp": "2026-09-21T10:00:00.123Z", "timestampUnix": 1789984800, "cpuCount": 2,
    "cpuUsedPct": 12.5, "memUsed": 1048576, "memTotal": 536870912, "memCache": 4096,
    "diskUsed": 8192, "diskTotal": 10737418240}])"));
}

TEST_F(Metrics, AreOfTheSecondsThatWereAskedFor) {
  std::string id = create();
  service_.samples = {sample(1000999), sample(1005000), sample(1010999), sample(1011000)};
  auto count = [&](const std::string& query) {
    return get("/sandboxes/" + id + "/metrics" + query).parsed().size();
  };
  EXPECT_EQ(count(""), 4U);
  EXPECT_EQ(count("?start=1001"), 3U);
  EXPECT_EQ(count("?start=1000&end=1010"), 3U);
  EXPECT_EQ(count("?end=999"), 0U);
  EXPECT_EQ(count("?end=99999999999999999"), 4U);
}

TEST_F(Metrics, OfAnUnknownSandboxAre404AndBadRanges400) {
  EXPECT_EQ(get("/sandboxes/inobody/metrics").status, 404);
  std::string id = create();
  for (std::string query : {"start=soon", "end=1.5", "start=-1", "start=", "start=10&end=9"}) {
    CloudAnswer answer = get("/sandboxes/" + id + "/metrics?" + query);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_EQ(answer.parsed()["code"], 400) << query;
  }
}

TEST_F(Metrics, OfSeveralAreTheNewestOfEach) {
  std::string first = create();
  std::string second = create();
  EXPECT_EQ(get("/sandboxes/metrics?sandbox_ids=" + first).parsed(),
            json::parse(R"({"sandboxes":{}})"));
  service_.samples = {sample(1000000), sample(1005000)};
  json both = get("/sandboxes/metrics?sandbox_ids=" + first + "%2C" + second + ",inobody").parsed();
  ASSERT_EQ(both["sandboxes"].size(), 2U);
  EXPECT_EQ(both["sandboxes"][first]["timestampUnix"], 1005);
  std::string repeated = "/sandboxes/metrics?sandbox_ids=a&sandbox_ids=" + first;
  EXPECT_EQ(get(repeated).parsed()["sandboxes"].size(), 1U);
  EXPECT_EQ(get("/sandboxes/metrics").status, 400);
  EXPECT_EQ(get("/sandboxes/metrics?sandbox_ids=").status, 400);
  std::string many = "a";
  for (int i = 0; i < 100; ++i) many += ",a";
  EXPECT_EQ(get("/sandboxes/metrics?sandbox_ids=" + many).status, 400);
}

}  // namespace
}  // namespace tests
