#include "emulator/sandboxes/metrics_history.h"

#include <algorithm>
#include <cmath>

namespace emulator::sandboxes {

namespace cloud = fakeapi::cloud;

void MetricsHistory::add(const cloud::SandboxInfo& info,
                         const namespaces::Usage& usage,
                         const DiskFigures& disk,
                         base::TimePoint time) {
  auto now = std::chrono::steady_clock::now();
  double wall = std::chrono::duration<double, std::micro>(now - last_time_).count();
  auto spent = static_cast<double>(usage.cpu_usec - std::min(usage.cpu_usec, last_cpu_usec_));
  last_time_ = now;
  last_cpu_usec_ = usage.cpu_usec;
  cloud::MetricSample sample;
  sample.time = time;
  sample.cpu_count = info.cpu_count;
  if (wall > 0 && info.cpu_count > 0) {
    double percent = std::min(100.0, spent / wall / info.cpu_count * 100.0);
    sample.cpu_used_percent = std::round(percent * 100.0) / 100.0;
  }
  sample.memory_total = static_cast<std::uint64_t>(std::max(info.memory_mb, 0)) << 20U;
  sample.memory_cache = usage.memory_cache_bytes;
  sample.memory_used = usage.memory_bytes - std::min(usage.memory_bytes, usage.memory_cache_bytes);
  sample.disk_used = disk.used;
  sample.disk_total = disk.total;
  samples_.push_back(sample);
  if (samples_.size() > kKeptSamples) samples_.pop_front();
}

std::vector<cloud::MetricSample> MetricsHistory::all() const {
  return {samples_.begin(), samples_.end()};
}

}  // namespace emulator::sandboxes
