// What the sandbox uses, as seen from inside: its cgroup's figures where they are visible, else the
// sum over its processes. For GET /metrics. Blocking, quick.
#pragma once

#include <chrono>
#include <cstdint>

namespace fakeapi::envd {

struct ResourceUsage {
  std::uint64_t cpu_usec = 0;  // since the sandbox's start
  std::uint64_t memory_bytes = 0;
  std::uint64_t cache_bytes = 0;
};

ResourceUsage read_resource_usage();

struct DiskUsage {
  std::uint64_t total = 0;
  std::uint64_t used = 0;
};

// Of the file system that holds `path`; `limit` (bytes, 0 = none) is reported as the size where the
// file system is larger.
DiskUsage read_disk_usage(std::uint64_t limit, const char* path = "/");

// Turns CPU time into a percentage of all processors since the previous call.
class CpuMeter {
 public:
  double used_percent(std::uint64_t cpu_usec, int cpu_count);

 private:
  std::uint64_t last_usec_ = 0;
  std::chrono::steady_clock::time_point last_time_ = std::chrono::steady_clock::now();
};

}  // namespace fakeapi::envd
