#include "namespaces/oom_victim.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "emulator/base/posix.h"

namespace namespaces {

using base::Result;

namespace {

constexpr int kNever = -1000;  // OOM_SCORE_ADJ_MIN

// "VmRSS:      1234 kB"
std::uint64_t kilobytes(std::string_view status, std::string_view key) {
  for (std::string_view rest = status; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') continue;
    line.remove_prefix(std::min(line.find_first_of("0123456789"), line.size()));
    std::uint64_t value = 0;
    std::from_chars(line.data(), line.data() + line.size(), value);
    return value;
  }
  return 0;
}

// By a descriptor, and only if it still is of the cgroup then: the number may be another's by now.
Result<> kill_in(const Cgroup& cgroup, pid_t pid) {
  base::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return base::fail_errno("open process " + std::to_string(pid));
  SANDLOT_TRY(auto members, cgroup.processes());
  if (std::find(members.begin(), members.end(), pid) == members.end()) {
    return base::fail(base::Errc::kNotFound, "process " + std::to_string(pid) + " has ended");
  }
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) == 0) return {};
  return base::fail_errno("kill process " + std::to_string(pid));
}

}  // namespace

std::uint64_t memory_of_status(std::string_view status) {
  return (kilobytes(status, "VmRSS") + kilobytes(status, "VmSwap") + kilobytes(status, "VmPTE")) *
         1024;
}

std::optional<pid_t> oom_victim(std::span<const ProcessMemory> processes, std::uint64_t limit) {
  std::optional<pid_t> victim;
  double worst = 0;
  for (const ProcessMemory& process : processes) {
    if (process.adjustment <= kNever) continue;
    double points = static_cast<double>(process.bytes) +
                    process.adjustment * (static_cast<double>(limit) / 1000);
    if (victim && points <= worst) continue;
    victim = process.pid;
    worst = points;
  }
  return victim;
}

Result<ProcessMemory> memory_of(pid_t pid) {
  std::string directory = "/proc/" + std::to_string(pid);
  SANDLOT_TRY(std::string status, base::read_file(directory + "/status"));
  SANDLOT_TRY(std::string adjustment, base::read_file(directory + "/oom_score_adj"));
  ProcessMemory process;
  process.pid = pid;
  process.bytes = memory_of_status(status);
  std::from_chars(adjustment.data(), adjustment.data() + adjustment.size(), process.adjustment);
  return process;
}

Result<> kill_oom_victim(const Cgroup& cgroup, pid_t spared) {
  // One that ends by itself between the choice and the kill makes room for the next choice.
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    SANDLOT_TRY(auto members, cgroup.processes());
    std::vector<ProcessMemory> processes;
    for (pid_t pid : members) {
      if (pid == spared) continue;
      if (auto memory = memory_of(pid)) processes.push_back(*memory);
    }
    auto victim = oom_victim(processes, cgroup.memory_limit());
    if (!victim) {
      return base::fail(base::Errc::kFailedPrecondition, "nothing runs in it but the daemon");
    }
    auto killed = kill_in(cgroup, *victim);
    if (killed || killed.error().code() != base::Errc::kNotFound || attempt == kAttempts) {
      return killed;
    }
  }
}

}  // namespace namespaces
