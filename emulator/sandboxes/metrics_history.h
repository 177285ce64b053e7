// What one sandbox used, sampled every few seconds: the last hour, oldest first. Made of the
// figures of its cgroup; reads nothing itself. Used by the registry.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "fakeapi/cloud/sandbox_service.h"
#include "namespaces/container_runtime.h"

namespace emulator::sandboxes {

inline constexpr auto kMetricsInterval = std::chrono::seconds(5);
inline constexpr std::size_t kKeptSamples = 720;

struct DiskFigures {
  std::uint64_t used = 0;
  std::uint64_t total = 0;
};

class MetricsHistory {
 public:
  // `usage` as it is at `time`. The first sample's processor time is measured from the first call.
  void add(const fakeapi::cloud::SandboxInfo& info,
           const namespaces::Usage& usage,
           const DiskFigures& disk,
           base::TimePoint time);
  // The next sample's processor time is measured from now: it was paused.
  void restart() { last_time_ = std::chrono::steady_clock::now(); }
  std::vector<fakeapi::cloud::MetricSample> all() const;

 private:
  std::deque<fakeapi::cloud::MetricSample> samples_;
  // Processor time is measured against a clock that nobody moves.
  std::chrono::steady_clock::time_point last_time_ = std::chrono::steady_clock::now();
  std::uint64_t last_cpu_usec_ = 0;
};

}  // namespace emulator::sandboxes
