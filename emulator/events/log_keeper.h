// The log lines of each sandbox: what was done with it. In memory: bounded, gone with the emulator.
// Used by emulator/application.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "emulator/base/clock.h"
#include "fakeapi/cloud/events.h"
#include "fakeapi/cloud/sandbox_logs.h"

namespace emulator::events {

class LogKeeper final : public fakeapi::cloud::LogSource {
 public:
  static constexpr std::size_t kLines = 1000;          // of one sandbox
  static constexpr std::size_t kEndedSandboxes = 200;  // the last ones keep their lines

  void add(const std::string& id, fakeapi::cloud::LogEntry entry);
  // The line that an event is.
  void add(const fakeapi::cloud::SandboxEvent& event);
  base::Task<std::vector<fakeapi::cloud::LogEntry>> logs(std::string sandbox_id) override;
  std::size_t clear();

 private:
  void ended(const std::string& id);

  std::map<std::string, std::deque<fakeapi::cloud::LogEntry>, std::less<>> by_sandbox_;
  std::deque<std::string> ended_;
};

}  // namespace emulator::events
