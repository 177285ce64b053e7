#include "emulator/instruments.h"

#include "emulator/base/log.h"
#include "emulator/faults/control_routes.h"
#include "emulator/journal/control_routes.h"

namespace emulator {

Instruments::Instruments(const boost::asio::any_io_executor& executor,
                         base::Clock& clock,
                         const config::Options& options)
    : executor_(executor),
      clock_(clock),
      events_dir_(options.data_dir / "events"),
      journal_(executor, clock),
      faults_(options.seed),
      sandbox_faults_(executor, clock, faults_) {}

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
  co_await sandbox_faults_.stop();
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

namespace {

base::Task<> set_bandwidth(sandboxes::LocalSandboxService& service,
                           NetworkStack& network,
                           std::string id,
                           std::optional<std::uint64_t> bytes_per_second) {
  SANDLOT_CO_TRY(auto netns, co_await service.network_of(std::move(id)));
  if (netns) co_return co_await network.set_bandwidth(std::move(netns), bytes_per_second);
  if (!bytes_per_second) co_return base::Result<>();
  co_return base::fail(base::Errc::kConflict, "the sandbox is paused without its memory");
}

faults::SandboxActions actions_of(sandboxes::LocalSandboxService& service, NetworkStack& network) {
  faults::SandboxActions actions;
  actions.life_of = [&service](const std::string& id) -> std::optional<faults::SandboxLife> {
    auto life = service.life_of(id);
    if (!life) return std::nullopt;
    return faults::SandboxLife{life->container, life->stuck};
  };
  actions.kill_daemon = [&service](const std::string& id) { return service.kill_daemon(id); };
  actions.reset_peers = [&service](const std::string& id) { return service.reset_peers(id); };
  actions.kill_largest = [&service](std::string id) { return service.kill_largest(std::move(id)); };
  actions.freeze = [&service](std::string id, bool stuck) {
    return service.set_stuck(std::move(id), stuck);
  };
  actions.disk_full = [&service](std::string id, bool full) {
    return service.set_disk_full(std::move(id), full);
  };
  actions.bandwidth = [&service, &network](std::string id, std::optional<std::uint64_t> rate) {
    return set_bandwidth(service, network, std::move(id), rate);
  };
  actions.answers_names = [&network]() -> base::Result<> {
    if (network.forwards_dns()) return {};
    return base::fail(base::Errc::kUnimplemented,
                      "with --dns-mode direct no question passes the emulator");
  };
  return actions;
}

}  // namespace

std::vector<control::ControlRoute> Instruments::routes(sandboxes::LocalSandboxService& service,
                                                       NetworkStack& network,
                                                       control::ControlPort& port) {
  sandbox_faults_.set_actions(actions_of(service, network));
  std::vector<control::ControlRoute> routes = journal::control_routes(journal_);
  for (auto& route : faults::control_routes(faults_, sandbox_faults_)) {
    routes.push_back(std::move(route));
  }
  auto metrics = [this, &port](fakeapi::http::RoutedRequest request) {
    return show_metrics(std::move(request), port);
  };
  routes.push_back({"GET", "/_sandlot/metrics", metrics});
  return routes;
}

std::vector<std::pair<std::string, std::size_t>> Instruments::clear() {
  std::size_t of_sandboxes = sandbox_faults_.forget_all();
  return {{"requests", journal_.clear()},
          {"faults", of_sandboxes + faults_.clear()},
          {"logs", logs_.clear()}};
}

}  // namespace emulator
