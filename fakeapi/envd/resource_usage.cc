#include "fakeapi/envd/resource_usage.h"

#include <dirent.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/posix.h"

namespace fakeapi::envd {

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_in(const char* path) {
  auto text = base::read_file(path);
  return text ? number(*text) : std::nullopt;
}

// "key value" lines.
std::optional<std::uint64_t> field_of(const char* path, std::string_view key) {
  auto text = base::read_file(path);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
      return number(line.substr(key.size() + 1));
    }
  }
  return std::nullopt;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    auto space = text.find(' ');
    if (space != 0) out.push_back(text.substr(0, space));
    if (space == std::string_view::npos) break;
    text.remove_prefix(space + 1);
  }
  return out;
}

// utime, stime of the process and of what it has waited for, in ticks (proc(5), fields 14 to 17).
std::uint64_t ticks_of(const std::string& directory) {
  auto text = base::read_file(directory + "/stat");
  if (!text) return 0;
  auto name_end = text->rfind(')');
  if (name_end == std::string::npos) return 0;
  auto fields = words(std::string_view(*text).substr(name_end + 1));
  std::uint64_t total = 0;
  for (std::size_t i = 11; i < 15 && i < fields.size(); ++i) total += number(fields[i]).value_or(0);
  return total;
}

// Private pages: resident minus shared (proc(5), statm).
std::uint64_t private_pages(const std::string& directory) {
  auto text = base::read_file(directory + "/statm");
  if (!text) return 0;
  auto fields = words(*text);
  if (fields.size() < 3) return 0;
  std::uint64_t resident = number(fields[1]).value_or(0);
  return resident - std::min(resident, number(fields[2]).value_or(0));
}

ResourceUsage sum_of_processes() {
  ResourceUsage usage;
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
  if (!directory) return usage;
  std::uint64_t ticks = 0;
  std::uint64_t pages = 0;
  while (dirent* entry = ::readdir(directory.get())) {
    if (!number(entry->d_name)) continue;
    std::string path = std::string("/proc/") + entry->d_name;
    ticks += ticks_of(path);
    pages += private_pages(path);
  }
  usage.cpu_usec = ticks * 1000000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  usage.memory_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return usage;
}

}  // namespace

ResourceUsage read_resource_usage() {
  ResourceUsage usage = sum_of_processes();
  if (auto v2 = field_of("/sys/fs/cgroup/cpu.stat", "usage_usec")) {
    usage.cpu_usec = *v2;
  } else if (auto v1 = number_in("/sys/fs/cgroup/cpuacct/cpuacct.usage")) {
    usage.cpu_usec = *v1 / 1000;
  }
  if (auto v2 = number_in("/sys/fs/cgroup/memory.current")) {
    usage.cache_bytes = field_of("/sys/fs/cgroup/memory.stat", "file").value_or(0);
    usage.memory_bytes = *v2 - std::min(*v2, usage.cache_bytes);
  } else if (auto v1 = number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes")) {
    usage.cache_bytes = field_of("/sys/fs/cgroup/memory/memory.stat", "total_cache").value_or(0);
    usage.memory_bytes = *v1 - std::min(*v1, usage.cache_bytes);
  }
  return usage;
}

DiskUsage read_disk_usage(std::uint64_t limit, const char* path) {
  struct statvfs info {};
  if (::statvfs(path, &info) != 0) return {limit, 0};
  DiskUsage usage;
  std::uint64_t available = info.f_bavail * info.f_frsize;
  usage.total = info.f_blocks * info.f_frsize;
  if (limit > 0) usage.total = std::min(usage.total, limit);
  usage.used = usage.total - std::min(usage.total, available);
  return usage;
}

double CpuMeter::used_percent(std::uint64_t cpu_usec, int cpu_count) {
  auto now = std::chrono::steady_clock::now();
  auto wall = std::chrono::duration<double, std::micro>(now - last_time_).count();
  double used = cpu_usec > last_usec_ ? static_cast<double>(cpu_usec - last_usec_) : 0.0;
  last_usec_ = cpu_usec;
  last_time_ = now;
  if (wall <= 0 || cpu_count <= 0) return 0;
  double percent = std::min(100.0, used / wall / cpu_count * 100.0);
  return std::round(percent * 100.0) / 100.0;
}

}  // namespace fakeapi::envd
