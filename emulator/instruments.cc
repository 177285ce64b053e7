#include "emulator/instruments.h"

#include "emulator/base/log.h"
#include "emulator/faults/control_routes.h"
#include "emulator/journal/control_routes.h"

namespace emulator {

Instruments::Instruments(const boost::asio::any_io_executor& executor,
                         const base::Clock& clock,
                         const config::Options& options)
    : executor_(executor),
      clock_(clock),
      events_dir_(options.data_dir / "events"),
      journal_(executor, clock),
      faults_(options.seed) {}

base::Result<> Instruments::open_events(store::Database& database, const std::string& instance) {
  SANDLOT_TRY(events_, events::EventKeeper::open(executor_, database, events_dir_, instance));
  return {};
}

void Instruments::record(fakeapi::cloud::SandboxEvent event) {
  ++totals_.events[{event.name, event.success}];
  logs_.add(event);
  if (events_) events_->record(std::move(event));
}

boost::asio::awaitable<void> Instruments::stop() {
  if (events_) co_await events_->stop();
}

void Instruments::on_request(const proxy::RequestRecord& record) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(record.duration).count();
  base::log::info("request", {{"method", record.method},
                              {"path", record.path},
                              {"status", std::to_string(record.status)},
                              {"ms", std::to_string(ms)}});
  ++totals_.requests[{method_label(record.method), record.status}];
  totals_.request_seconds += std::chrono::duration<double>(record.duration).count();
  if (record.fault.empty()) return;
  ++totals_.faults;
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

boost::asio::awaitable<void> Instruments::show_metrics(fakeapi::http::RoutedRequest request,
                                                       control::ControlPort& port) {
  auto state = co_await port.state();
  fakeapi::http::Response response;
  if (state) {
    response.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = prometheus_text(*state, totals_);
  } else {
    response = control::error_response(500, state.error().message());
  }
  co_await request.connection.send(std::move(response));
}

std::vector<control::ControlRoute> Instruments::routes(sandboxes::LocalSandboxService& service,
                                                       control::ControlPort& port) {
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
  auto metrics = [this, &port](fakeapi::http::RoutedRequest request) {
    return show_metrics(std::move(request), port);
  };
  routes.push_back({"GET", "/_sandlot/metrics", metrics});
  return routes;
}

std::vector<std::pair<std::string, std::size_t>> Instruments::clear() {
  return {{"requests", journal_.clear()}, {"faults", faults_.clear()}, {"logs", logs_.clear()}};
}

}  // namespace emulator
