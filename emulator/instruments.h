// What looks at the emulator, and what breaks it, on behalf of tests: the request journal and the
// injected faults. Owned by the application, which connects it to the front door and the control
// API.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "emulator/config/options.h"
#include "emulator/control/route.h"
#include "emulator/faults/fault_rules.h"
#include "emulator/journal/request_journal.h"
#include "emulator/proxy/front_door.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator {

class Instruments {
 public:
  // `clock` outlives it.
  Instruments(const boost::asio::any_io_executor& executor,
              const base::Clock& clock,
              const config::Options& options);

  fakeapi::http::Handler journaled(fakeapi::http::Handler cloud) {
    return journal_.record(std::move(cloud));
  }
  proxy::FaultSource& faults() { return faults_; }
  // Of the front door: the log's line, and the journal's when a fault answered.
  void on_request(const proxy::RequestRecord& record);
  // `service` outlives the handlers.
  std::vector<control::ControlRoute> routes(sandboxes::LocalSandboxService& service);
  // For POST /_sandlot/reset: what was removed, by kind.
  std::vector<std::pair<std::string, std::size_t>> clear();

 private:
  const base::Clock& clock_;
  journal::RequestJournal journal_;
  faults::FaultRules faults_;
};

}  // namespace emulator
