// Samples of what a sandbox used: shares of all its processors, and no more than an hour of them.
#include "emulator/sandboxes/metrics_history.h"

#include <thread>

#include <gtest/gtest.h>

namespace emulator::sandboxes {
namespace {

using namespace std::chrono_literals;

TEST(MetricsHistory, TurnsCountersIntoSamples) {
  MetricsHistory history;
  EXPECT_TRUE(history.all().empty());
  fakeapi::cloud::SandboxInfo info;
  info.cpu_count = 2;
  info.memory_mb = 512;
  namespaces::Usage usage;
  usage.memory_bytes = 3000;
  usage.memory_cache_bytes = 1000;
  std::this_thread::sleep_for(10ms);
  usage.cpu_usec = 1000000000;  // more than there was time for
  history.add(info, usage, {7, 9}, base::TimePoint(1s));
  std::this_thread::sleep_for(1ms);
  history.add(info, usage, {7, 9}, base::TimePoint(6s));  // nothing since
  auto samples = history.all();
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].time, base::TimePoint(1s));
  EXPECT_EQ(samples[0].cpu_used_percent, 100.0);
  EXPECT_EQ(samples[1].cpu_used_percent, 0.0);
  EXPECT_EQ(samples[0].memory_used, 2000U);
  EXPECT_EQ(samples[0].memory_cache, 1000U);
  EXPECT_EQ(samples[0].memory_total, 512U << 20U);
  EXPECT_EQ(samples[0].disk_used, 7U);
  EXPECT_EQ(samples[0].disk_total, 9U);
}

TEST(MetricsHistory, KeepsTheNewest) {
  MetricsHistory history;
  for (std::size_t i = 0; i < kKeptSamples + 5; ++i) {
    history.add({}, {}, {}, base::TimePoint(std::chrono::seconds(i)));
  }
  auto samples = history.all();
  ASSERT_EQ(samples.size(), kKeptSamples);
  EXPECT_EQ(samples.front().time, base::TimePoint(5s));
}

}  // namespace
}  // namespace emulator::sandboxes
