#include "emulator/process_setup.h"

#include <sys/resource.h>

#include <cstdlib>
#include <fstream>

#include "emulator/base/log.h"
#include "emulator/base/result.h"
#include "emulator/cli/garbage.h"

namespace emulator {

sandboxes::FailStep fail_step_from_environment() {
  const char* step = std::getenv("SANDLOT_TEST_FAIL_STEP");
  std::string wanted = step == nullptr ? "" : step;
  return [wanted](std::string_view now) -> base::Result<> {
    if (wanted.empty() || now != wanted) return {};
    return base::fail(base::Errc::kInternal, "the step '" + wanted + "' was told to fail");
  };
}

void collect_garbage_of_others(const std::filesystem::path& run_dir,
                               const std::filesystem::path& data_dir,
                               const std::set<std::string>& kept) {
  auto report = cli::collect_garbage(run_dir, data_dir, false, kept);
  if (!report) {
    base::log::warn("gc.failed", {{"error", report.error().message()}});
    return;
  }
  for (const std::string& line : report->failed) base::log::warn("gc.failed", {{"what", line}});
  if (!report->removed.empty()) {
    base::log::info("gc.removed", {{"instances", std::to_string(report->dead.size())},
                                   {"objects", std::to_string(report->removed.size())}});
  }
}

std::vector<std::string> control_hosts(const config::Options& options) {
  std::vector<std::string> hosts = {
      options.domain, "api." + options.domain, "localhost", "api.localhost", "127.0.0.1", "[::1]"};
  hosts.insert(hosts.end(), options.hosts.begin(), options.hosts.end());
  return hosts;
}

fakeapi::envd::ClockSetting agents_clock(const base::MovableClock& clock,
                                         std::chrono::milliseconds advance) {
  fakeapi::envd::ClockSetting setting;
  setting.offset_ms = (clock.offset() + advance).count();
  if (auto frozen = clock.frozen_at()) {
    auto time = (*frozen + advance).time_since_epoch();
    setting.frozen_ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }
  return setting;
}

std::size_t count_mounts(const std::filesystem::path& below) {
  std::ifstream table("/proc/self/mountinfo");
  std::size_t count = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.find(" " + below.string() + "/") != std::string::npos) ++count;
  }
  return count;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return limit.rlim_cur;
}

}  // namespace emulator
