#include "emulator/events/log_keeper.h"

namespace emulator::events {

namespace cloud = fakeapi::cloud;
using base::Errc;

namespace {

std::string sentence_of(const cloud::SandboxEvent& event) {
  if (!event.success) return "Sandbox " + event.name + " failed: " + event.error;
  if (event.name == "create") return "Sandbox created";
  if (event.name == "pause") return "Sandbox paused";
  if (event.name == "resume") return "Sandbox resumed";
  if (event.name == "connect") return "Client connected to the sandbox";
  if (event.name == "timeout") return "Sandbox reached the end of its time";
  if (event.name == "delete") return "Sandbox killed";
  return "Sandbox " + event.name;
}

}  // namespace

void LogKeeper::add(const std::string& id, cloud::LogEntry entry) {
  auto& lines = by_sandbox_[id];
  lines.push_back(std::move(entry));
  if (lines.size() > kLines) lines.pop_front();
}

void LogKeeper::add(const cloud::SandboxEvent& event) {
  cloud::LogEntry entry;
  entry.time = event.time;
  entry.level = event.success ? cloud::LogLevel::kInfo : cloud::LogLevel::kError;
  entry.message = sentence_of(event);
  entry.fields = {{"logger", "orchestrator"}, {"event", event.name}};
  add(event.sandbox_id, std::move(entry));
  if (event.name == "delete") ended(event.sandbox_id);
}

void LogKeeper::ended(const std::string& id) {
  ended_.push_back(id);
  if (ended_.size() <= kEndedSandboxes) return;
  by_sandbox_.erase(ended_.front());
  ended_.pop_front();
}

base::Task<std::vector<cloud::LogEntry>> LogKeeper::logs(std::string sandbox_id) {
  auto found = by_sandbox_.find(sandbox_id);
  if (found == by_sandbox_.end()) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox_id + "\" not found");
  }
  co_return std::vector<cloud::LogEntry>(found->second.begin(), found->second.end());
}

std::size_t LogKeeper::clear() {
  std::size_t count = by_sandbox_.size();
  by_sandbox_.clear();
  ended_.clear();
  return count;
}

}  // namespace emulator::events
