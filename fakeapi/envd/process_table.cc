#include "fakeapi/envd/process_table.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

namespace fakeapi::envd {

namespace {

constexpr auto kAfterlife = std::chrono::seconds(30);
constexpr std::size_t kScratch = 32U << 10U;

}  // namespace

ProcessTable::ProcessTable(boost::asio::any_io_executor executor, OomScore oom_score)
    : executor_(std::move(executor)),
      tasks_(executor_),
      oom_score_(std::move(oom_score)),
      // Not written: a blank sandbox does not pay for it.
      scratch_(std::make_unique_for_overwrite<char[]>(kScratch)) {}

base::Result<std::shared_ptr<Process>> ProcessTable::start(const LaunchRequest& request,
                                                           ::process::ProcessInfo info) {
  forget_old();
  SANDLOT_TRY(LaunchedChild child, launch(request, oom_score_));
  pid_t pid = child.pid;
  info.set_pid(static_cast<std::uint32_t>(pid));
  auto process = std::make_shared<Process>(executor_, std::move(info), std::move(child),
                                           std::span(scratch_.get(), kScratch));
  // A namespace's pids come round again: an old end must not hide behind a new life.
  std::erase_if(ended_, [pid](const Ended& item) { return item.process->pid() == pid; });
  live_[pid] = process;
  return process;
}

void ProcessTable::run(const std::shared_ptr<Process>& process) {
  process->run(tasks_, [this, ended = process.get()] { on_end(*ended); });
}

void ProcessTable::on_end(const Process& process) {
  auto found = live_.find(process.pid());
  // A reaped process whose pipes stayed open may have lost its pid, and its entry, to a new one.
  if (found == live_.end() || found->second.get() != &process) return;
  ended_.push_back({std::move(found->second), std::chrono::steady_clock::now() + kAfterlife});
  live_.erase(found);
  forget_old();
}

void ProcessTable::forget_old() {
  auto now = std::chrono::steady_clock::now();
  std::erase_if(ended_, [now](const Ended& item) { return item.forget_at <= now; });
}

std::shared_ptr<Process> ProcessTable::find(pid_t pid, bool ended_too) {
  auto found = live_.find(pid);
  if (found != live_.end()) return found->second;
  if (!ended_too) return nullptr;
  forget_old();
  for (const Ended& item : ended_) {
    if (item.process->pid() == pid) return item.process;
  }
  return nullptr;
}

std::shared_ptr<Process> ProcessTable::find_tag(std::string_view tag, bool ended_too) {
  auto matches = [tag](const Process& process) {
    return process.info().has_tag() && process.info().tag() == tag;
  };
  for (const auto& [pid, process] : live_) {
    if (matches(*process)) return process;
  }
  if (!ended_too) return nullptr;
  forget_old();
  auto found = std::find_if(ended_.rbegin(), ended_.rend(),
                            [&](const Ended& item) { return matches(*item.process); });
  return found == ended_.rend() ? nullptr : found->process;
}

std::vector<std::shared_ptr<Process>> ProcessTable::list() const {
  std::vector<std::shared_ptr<Process>> all;
  all.reserve(live_.size());
  for (const auto& [pid, process] : live_) all.push_back(process);
  return all;
}

void ProcessTable::reap() {
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    auto found = live_.find(pid);
    if (found == live_.end()) continue;  // an orphan that came to pid 1
    auto process = found->second;
    process->reaped(status);
  }
}

void ProcessTable::kill_all() {
  for (const auto& [pid, process] : live_) {
    [[maybe_unused]] auto sent = process->send_signal(SIGKILL);
  }
}

}  // namespace fakeapi::envd
