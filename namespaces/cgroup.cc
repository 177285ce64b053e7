#include "namespaces/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "emulator/base/posix.h"
#include "namespaces/cgroup_tree.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Result;

constexpr int kPeriod = 100000;  // microseconds

std::uint64_t parse_number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t read_number(const fs::path& file) {
  auto text = base::read_file(file);
  return text ? parse_number(*text) : 0;
}

}  // namespace

std::uint64_t read_cgroup_key(const fs::path& file, std::string_view key) {
  auto text = base::read_file(file);
  if (!text) return 0;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
      return parse_number(line.substr(key.size() + 1));
    }
  }
  return 0;
}

Result<> write_limits(const CgroupLayout& layout, const fs::path& relative, const Limits& limits) {
  if (const auto* memory = layout.find("memory")) {
    bool v2 = memory->version == CgroupVersion::kV2;
    auto bytes = std::to_string(static_cast<std::uint64_t>(limits.memory_mb) << 20U);
    const char* file = v2 ? "memory.max" : "memory.limit_in_bytes";
    SANDLOT_CHECK(base::write_control(memory->root / relative / file, bytes));
  }
  if (const auto* pids = layout.find("pids")) {
    auto count = std::to_string(limits.pids);
    SANDLOT_CHECK(base::write_control(pids->root / relative / "pids.max", count));
  }
  if (const auto* cpu = layout.find("cpu")) {
    bool v2 = cpu->version == CgroupVersion::kV2;
    auto quota = std::to_string(limits.cpu_count * kPeriod);
    if (v2) quota += " " + std::to_string(kPeriod);
    const char* file = v2 ? "cpu.max" : "cpu.cfs_quota_us";
    SANDLOT_CHECK(base::write_control(cpu->root / relative / file, quota));
  }
  return {};
}

Usage read_usage(const CgroupLayout& layout, const fs::path& relative) {
  Usage usage;
  if (!layout.v2_root().empty()) {
    // There without any controller.
    usage.cpu_usec = read_cgroup_key(layout.v2_root() / relative / "cpu.stat", "usage_usec");
  } else if (const auto* cpu = layout.find("cpu")) {
    usage.cpu_usec = read_number(cpu->root / relative / "cpuacct.usage") / 1000;
  }
  const auto* memory = layout.find("memory");
  if (memory == nullptr) return usage;
  fs::path directory = memory->root / relative;
  if (memory->version == CgroupVersion::kV2) {
    usage.memory_bytes = read_number(directory / "memory.current");
    usage.memory_cache_bytes = read_cgroup_key(directory / "memory.stat", "file");
    usage.oom_kills = read_cgroup_key(directory / "memory.events", "oom_kill");
  } else {
    usage.memory_bytes = read_number(directory / "memory.usage_in_bytes");
    usage.memory_cache_bytes = read_cgroup_key(directory / "memory.stat", "cache");
    usage.oom_kills = read_cgroup_key(directory / "memory.oom_control", "oom_kill");
  }
  return usage;
}

Result<Cgroup> Cgroup::create(const CgroupLayout& layout,
                              const std::string& instance,
                              const std::string& id,
                              const Limits& limits) {
  Cgroup cgroup(layout, instance_cgroup(instance) / id);
  SANDLOT_CHECK(cgroup.make_directories());
  SANDLOT_CHECK(write_limits(layout, cgroup.relative_, limits));
  return cgroup;
}

Cgroup::~Cgroup() {
  release_descriptors();
  remove();
}

Result<> Cgroup::make_directories() {
  for (const auto& root : layout_->used_roots()) {
    fs::path directory = root / relative_;
    // Never an existing one: after cgroup.kill new members of a cgroup would be killed too.
    if (::mkdir(directory.c_str(), 0755) != 0) {
      return base::fail_errno("make cgroup " + directory.string());
    }
    directories_.push_back(directory);
    if (root == layout_->v2_root()) {
      SANDLOT_TRY(birth_fd_, base::open_file(directory, O_RDONLY | O_DIRECTORY));
    } else {
      SANDLOT_TRY(auto tasks, base::open_file(directory / "tasks", O_WRONLY));
      task_fds_.push_back(std::move(tasks));
    }
  }
  return {};
}

std::vector<int> Cgroup::task_fds() const {
  std::vector<int> fds;
  for (const auto& fd : task_fds_) fds.push_back(fd.get());
  return fds;
}

void Cgroup::release_descriptors() {
  birth_fd_.reset();
  task_fds_.clear();
}

Result<> Cgroup::set_frozen(bool frozen) {
  if (!layout_->v2_root().empty()) {
    return base::write_control(layout_->v2_root() / relative_ / "cgroup.freeze",
                               frozen ? "1" : "0");
  }
  const auto* freezer = layout_->find("freezer");
  if (freezer == nullptr) return base::fail(base::Errc::kUnimplemented, "no cgroup freezer");
  return base::write_control(freezer->root / relative_ / "freezer.state",
                             frozen ? "FROZEN" : "THAWED");
}

Result<bool> Cgroup::is_frozen() const {
  if (!layout_->v2_root().empty()) {
    return read_cgroup_key(layout_->v2_root() / relative_ / "cgroup.events", "frozen") == 1;
  }
  const auto* freezer = layout_->find("freezer");
  if (freezer == nullptr) return base::fail(base::Errc::kUnimplemented, "no cgroup freezer");
  SANDLOT_TRY(auto state, base::read_file(freezer->root / relative_ / "freezer.state"));
  return state.starts_with("FROZEN");
}

void Cgroup::kill() {
  if (!layout_->v2_root().empty()) return kill_cgroup_tree(layout_->v2_root() / relative_);
  const auto* freezer = layout_->find("freezer");
  if (freezer != nullptr) {
    (void)set_frozen(true);  // nobody forks away meanwhile; kill_cgroup_tree thaws
    kill_cgroup_tree(freezer->root / relative_);
  } else if (!directories_.empty()) {
    kill_cgroup_tree(directories_.front());
  }
}

Result<Usage> Cgroup::usage() const {
  return read_usage(*layout_, relative_);
}

Result<std::vector<pid_t>> Cgroup::processes() const {
  if (directories_.empty()) return base::fail(base::Errc::kNotFound, "the sandbox has ended");
  SANDLOT_TRY(std::string text, base::read_file(directories_.front() / "cgroup.procs"));
  std::vector<pid_t> pids;
  std::istringstream lines(text);
  for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
  return pids;
}

std::uint64_t Cgroup::memory_limit() const {
  const auto* memory = layout_->find("memory");
  if (memory == nullptr) return 0;
  bool v2 = memory->version == CgroupVersion::kV2;
  return read_number(memory->root / relative_ / (v2 ? "memory.max" : "memory.limit_in_bytes"));
}

Result<> Cgroup::set_memory(int megabytes) {
  const auto* memory = layout_->find("memory");
  if (memory == nullptr) {
    return base::fail(base::Errc::kUnimplemented, "no cgroup controller for memory");
  }
  std::uint64_t limit = static_cast<std::uint64_t>(megabytes) << 20U;
  SANDLOT_TRY(Usage used, usage());
  // Version 2 would kill for it.
  if (used.memory_bytes - std::min(used.memory_bytes, used.memory_cache_bytes) > limit) {
    return base::fail(base::Errc::kConflict, "more memory than that is in use");
  }
  bool v2 = memory->version == CgroupVersion::kV2;
  const char* file = v2 ? "memory.max" : "memory.limit_in_bytes";
  auto written = base::write_control(memory->root / relative_ / file, std::to_string(limit));
  if (!written && !v2) {
    // EBUSY: what is left cannot be reclaimed.
    return base::fail(base::Errc::kConflict, "more memory than that is in use");
  }
  return written;
}

bool Cgroup::remove() {
  std::erase_if(directories_, [](const fs::path& path) { return remove_cgroup_tree(path); });
  return directories_.empty();
}

}  // namespace namespaces
