// What looks at the emulator, and what breaks it, on behalf of tests: the request journal, the
// events and logs of sandboxes, metrics, injected faults. Owned by the application, which connects
// it to the front door and the control API.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "emulator/config/options.h"
#include "emulator/control/control_api.h"
#include "emulator/control/route.h"
#include "emulator/events/event_keeper.h"
#include "emulator/events/log_keeper.h"
#include "emulator/faults/fault_rules.h"
#include "emulator/faults/sandbox_faults.h"
#include "emulator/journal/request_journal.h"
#include "emulator/network_stack.h"
#include "emulator/prometheus.h"
#include "emulator/proxy/front_door.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator {

class Instruments {
 public:
  // `clock` outlives it.
  Instruments(const boost::asio::any_io_executor& executor,
              base::Clock& clock,
              const config::Options& options);

  // Blocking. Before the first sandbox; `database` outlives it.
  base::Result<> open_events(store::Database& database, const std::string& instance);
  // Of a sandbox: written down, for the events and the logs.
  void record(fakeapi::cloud::SandboxEvent event);
  fakeapi::cloud::EventLog* events() { return events_.get(); }
  fakeapi::cloud::LogSource* logs() { return &logs_; }
  // After the last sandbox.
  boost::asio::awaitable<void> stop();

  fakeapi::http::Handler journaled(fakeapi::http::Handler cloud) {
    return journal_.record(std::move(cloud));
  }
  proxy::FaultSource& faults() { return faults_; }
  // Whether a question of the sandbox for this name is to find nothing.
  std::function<bool(const std::string& id, const std::string& name)> name_fault() {
    return
        [this](const auto& id, const auto& name) { return sandbox_faults_.hides_name(id, name); };
  }
  // Of the front door: the log's line, and the journal's when a fault answered.
  void on_request(const proxy::RequestRecord& record);
  // All outlive the handlers.
  std::vector<control::ControlRoute> routes(sandboxes::LocalSandboxService& service,
                                            NetworkStack& network,
                                            control::ControlPort& port);
  // For POST /_sandlot/reset: what was removed, by kind.
  std::vector<std::pair<std::string, std::size_t>> clear();

 private:
  boost::asio::awaitable<void> show_metrics(fakeapi::http::RoutedRequest request,
                                            control::ControlPort& port);

  boost::asio::any_io_executor executor_;
  const base::Clock& clock_;
  std::filesystem::path events_dir_;
  std::unique_ptr<events::EventKeeper> events_;
  events::LogKeeper logs_;
  journal::RequestJournal journal_;
  faults::FaultRules faults_;
  faults::SandboxFaults sandbox_faults_;
  Totals totals_;
};

}  // namespace emulator
