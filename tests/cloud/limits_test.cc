// Limits: the rate of creates, how many may run, and what the quota says of it.
#include <string>

#include <gtest/gtest.h>

#include "fakeapi/cloud/rate_limiter.h"
#include "tests/cloud/cloud_fixture.h"

namespace tests {
namespace {

using namespace std::chrono_literals;
using Limits = CloudTest;

TEST(RateLimiter, AllowsSoManyInAnyStretchOfTime) {
  cloud::RateLimiter limiter(2, 10s);
  base::TimePoint start(1000s);
  EXPECT_EQ(limiter.take(start), std::nullopt);
  EXPECT_EQ(limiter.take(start + 4s), std::nullopt);
  EXPECT_EQ(limiter.take(start + 5s), 5s);
  EXPECT_EQ(limiter.take(start + 9500ms), 1s);
  EXPECT_EQ(limiter.take(start + 10s), std::nullopt);
  EXPECT_EQ(limiter.take(start + 10s), 4s);
  EXPECT_EQ(limiter.take(start - 100s), std::nullopt);  // the clock was reset
}

TEST_F(Limits, ACreateTooManyIs429WithTheTimeToWait) {
  cloud::CloudOptions options;
  options.create_rate.emplace(1, 60s);
  configure(options);
  const std::string body = R"({"templateID":"base"})";
  EXPECT_EQ(post("/sandboxes", "{}").status, 400);  // is no create
  EXPECT_EQ(post("/sandboxes", body).status, 201);
  clock_.advance(15s);
  CloudAnswer answer = post("/v2/sandboxes", body);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.get("Retry-After"), "45");
  EXPECT_EQ(answer.parsed()["code"], 429);
  clock_.advance(45s);
  EXPECT_EQ(post("/v2/sandboxes", body).status, 201);
}

TEST_F(Limits, TheQuotaCountsWhatRuns) {
  const std::string body = R"({"templateID":"base"})";
  std::string id = post("/sandboxes", body).parsed()["sandboxID"];
  post("/sandboxes", body);
  json quota = get("/sandboxes/quota").parsed();
  EXPECT_EQ(quota["usage"], json::parse(R"({"concurrentInstances":2,"concurrentVcpu":4,
                                            "concurrentRamMb":1024})"));
  EXPECT_EQ(quota["limit"]["concurrentInstances"], 2147483647);
  service_.limit = 3;
  post("/sandboxes/" + id + "/pause");
  quota = get("/sandboxes/quota").parsed();
  EXPECT_EQ(quota["usage"]["concurrentInstances"], 1);
  EXPECT_EQ(quota["limit"], json::parse(R"({"concurrentInstances":3,"concurrentVcpu":24,
    "concurrentRamMb":24576,"maxLengthHours":1,"diskMb":20480,"maxVcpu":8,"maxRamMb":8192})"));
}

}  // namespace
}  // namespace tests
