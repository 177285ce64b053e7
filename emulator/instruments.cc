#include "emulator/instruments.h"

#include "emulator/base/log.h"
#include "emulator/faults/control_routes.h"
#include "emulator/journal/control_routes.h"

namespace emulator {

Instruments::Instruments(const boost::asio::any_io_executor& executor,
                         const base::Clock& clock,
                         const config::Options& options)
    : clock_(clock), journal_(executor, clock), faults_(options.seed) {}

void Instruments::on_request(const proxy::RequestRecord& record) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(record.duration).count();
  base::log::info("request", {{"method", record.method},
                              {"path", record.path},
                              {"status", std::to_string(record.status)},
                              {"ms", std::to_string(ms)}});
  if (record.fault.empty()) return;
  auto duration = std::chrono::duration_cast<std::chrono::microseconds>(record.duration);
  journal::Entry entry;
  entry.time = clock_.now() - duration;
  entry.method = record.method;
  entry.path = record.path;
  entry.status = record.status;
  entry.duration = duration;
  entry.sandbox =
      record.sandbox.empty() ? std::string(journal::sandbox_of_path(record.path)) : record.sandbox;
  entry.fault = record.fault;
  journal_.add(std::move(entry));
}

std::vector<control::ControlRoute> Instruments::routes(sandboxes::LocalSandboxService& service) {
  faults::SandboxActions actions;
  actions.exists = [&service](const std::string& id) { return service.get(id).has_value(); };
  actions.kill_daemon = [&service](const std::string& id) { return service.kill_daemon(id); };
  actions.reset_peers = [&service](const std::string& id) { return service.reset_peers(id); };
  actions.freeze = [&service](std::string id, bool stuck) {
    return service.set_stuck(std::move(id), stuck);
  };
  std::vector<control::ControlRoute> routes = journal::control_routes(journal_);
  for (auto& route : faults::control_routes(faults_, std::move(actions))) {
    routes.push_back(std::move(route));
  }
  return routes;
}

std::vector<std::pair<std::string, std::size_t>> Instruments::clear() {
  return {{"requests", journal_.clear()}, {"faults", faults_.clear()}};
}

}  // namespace emulator
