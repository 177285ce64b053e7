#include "namespaces/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

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

Result<Cgroup> Cgroup::create(const CgroupLayout& layout,
                              const std::string& instance,
                              const std::string& id,
                              const Limits& limits) {
  Cgroup cgroup;
  cgroup.relative_ = instance_cgroup(instance) / id;
  SANDLOT_CHECK(cgroup.make_directories(layout, cgroup.relative_));
  SANDLOT_CHECK(cgroup.apply(layout, limits));
  return cgroup;
}

Cgroup::~Cgroup() {
  release_descriptors();
  remove();
}

Result<> Cgroup::make_directories(const CgroupLayout& layout, const fs::path& relative) {
  for (const auto& root : layout.used_roots()) {
    fs::path directory = root / relative;
    // Never an existing one: after cgroup.kill new members of a cgroup would be killed too.
    if (::mkdir(directory.c_str(), 0755) != 0) {
      return base::fail_errno("make cgroup " + directory.string());
    }
    directories_.push_back(directory);
    if (root == layout.v2_root()) {
      v2_ = directory;
      SANDLOT_TRY(birth_fd_, base::open_file(directory, O_RDONLY | O_DIRECTORY));
    } else {
      SANDLOT_TRY(auto tasks, base::open_file(directory / "tasks", O_WRONLY));
      task_fds_.push_back(std::move(tasks));
    }
  }
  if (const auto* memory = layout.find("memory")) {
    memory_ = memory->root / relative;
    memory_version_ = memory->version;
  }
  if (const auto* cpu = layout.find("cpu")) cpu_ = cpu->root / relative;
  const auto* freezer = layout.find("freezer");
  if (v2_.empty() && freezer != nullptr) freezer_ = freezer->root / relative;
  return {};
}

Result<> Cgroup::apply(const CgroupLayout& layout, const Limits& limits) {
  if (!memory_.empty()) {
    auto bytes = std::to_string(static_cast<std::uint64_t>(limits.memory_mb) << 20U);
    const char* file =
        memory_version_ == CgroupVersion::kV2 ? "memory.max" : "memory.limit_in_bytes";
    SANDLOT_CHECK(base::write_control(memory_ / file, bytes));
  }
  if (const auto* pids = layout.find("pids")) {
    fs::path directory = pids->root / relative_;
    SANDLOT_CHECK(base::write_control(directory / "pids.max", std::to_string(limits.pids)));
  }
  if (const auto* cpu = layout.find("cpu")) {
    auto quota = std::to_string(limits.cpu_count * kPeriod);
    if (cpu->version == CgroupVersion::kV2) {
      SANDLOT_CHECK(base::write_control(cpu_ / "cpu.max", quota + " " + std::to_string(kPeriod)));
    } else {
      SANDLOT_CHECK(base::write_control(cpu_ / "cpu.cfs_quota_us", quota));
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
  if (!v2_.empty()) return base::write_control(v2_ / "cgroup.freeze", frozen ? "1" : "0");
  if (freezer_.empty()) return base::fail(base::Errc::kUnimplemented, "no cgroup freezer");
  return base::write_control(freezer_ / "freezer.state", frozen ? "FROZEN" : "THAWED");
}

Result<bool> Cgroup::is_frozen() const {
  if (!v2_.empty()) return read_cgroup_key(v2_ / "cgroup.events", "frozen") == 1;
  SANDLOT_TRY(auto state, base::read_file(freezer_ / "freezer.state"));
  return state.starts_with("FROZEN");
}

void Cgroup::kill() {
  if (!v2_.empty()) {
    kill_cgroup_tree(v2_);
  } else if (!directories_.empty()) {
    if (!freezer_.empty()) (void)set_frozen(true);  // nobody forks away meanwhile
    kill_cgroup_tree(freezer_.empty() ? directories_.front() : freezer_);
  }
}

Result<Usage> Cgroup::usage() const {
  Usage usage;
  if (!v2_.empty()) {
    usage.cpu_usec = read_cgroup_key(v2_ / "cpu.stat", "usage_usec");
  } else {
    usage.cpu_usec = read_number(cpu_ / "cpuacct.usage") / 1000;
  }
  if (memory_.empty()) return usage;
  if (memory_version_ == CgroupVersion::kV2) {
    usage.memory_bytes = read_number(memory_ / "memory.current");
    usage.memory_cache_bytes = read_cgroup_key(memory_ / "memory.stat", "file");
    usage.oom_kills = read_cgroup_key(memory_ / "memory.events", "oom_kill");
  } else {
    usage.memory_bytes = read_number(memory_ / "memory.usage_in_bytes");
    usage.memory_cache_bytes = read_cgroup_key(memory_ / "memory.stat", "cache");
    usage.oom_kills = read_cgroup_key(memory_ / "memory.oom_control", "oom_kill");
  }
  return usage;
}

bool Cgroup::remove() {
  std::erase_if(directories_, [](const fs::path& path) { return remove_cgroup_tree(path); });
  return directories_.empty();
}

}  // namespace namespaces
