#include "emulator/application.h"

#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/deadline.h"
#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/movable_clock.h"
#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "emulator/cli/endpoint.h"
#include "emulator/cli/exec_child.h"
#include "emulator/config/command_line.h"
#include "emulator/control/control_api.h"
#include "emulator/dns/server.h"
#include "emulator/fakenet/control_routes.h"
#include "emulator/instruments.h"
#include "emulator/network_stack.h"
#include "emulator/own_door.h"
#include "emulator/process_setup.h"
#include "emulator/proxy/front_door.h"
#include "emulator/proxy/listener.h"
#include "emulator/proxy/tls.h"
#include "emulator/sandbox_hooks.h"
#include "emulator/sandboxes/snapshot_catalogue.h"
#include "emulator/volumes/volumes.h"
#include "fakeapi/cloud/cloud_api.h"
#include "namespaces/gc.h"
#include "namespaces/instance.h"

namespace emulator {

namespace asio = boost::asio;
using base::Errc;
using base::Task;

namespace {

// Networks kept ready even without blank sandboxes (--pool 0).
constexpr unsigned kReadySlots = 4;
// 2200-01-01: beyond it lie the ends of what a TimePoint can hold.
constexpr base::TimePoint kLastMoment{std::chrono::seconds(7258118400)};

class Application final : public control::ControlPort {
 public:
  Application(const config::Options& options, std::optional<cli::ExecRequest> exec)
      : options_(options), exec_(std::move(exec)) {}

  int run();

  bool ready() const override { return ready_; }
  Task<std::vector<std::pair<std::string, std::size_t>>> reset() override;
  Task<control::StateReport> state() override;
  control::ClockReport clock() const override;
  Task<> change_clock(control::ClockChange change) override;

 private:
  using Step = StartStep;

  Step prepare_directories();
  Step restore_paused();
  Step start_runtime();
  Step open_store();
  Step open_authority();
  Step make_templates();
  Step start_network();
  Step start_service();
  Step start_listening();
  Step open_front_door();
  Step listen_on(std::uint16_t wanted, bool tls_only, std::uint16_t& bound);
  Step start_dns();
  asio::awaitable<void> serve();
  asio::awaitable<void> wait_for_signal();
  asio::awaitable<void> shut_down();
  cli::Endpoint endpoint() const;
  control::StateReport count(const netfilter::NetworkCounts& network) const;

  config::Options options_;
  std::optional<cli::ExecRequest> exec_;
  std::string instance_ = base::random_id(6);
  int exit_code_ = 0;
  bool ready_ = false;

  // Destroyed from the bottom up: what uses comes after what is used.
  InstanceDirectory instance_directory_;
  asio::io_context context_{1};
  base::MovableClock clock_{context_.get_executor()};
  bool changing_clock_ = false;
  // Cancelled at the end of each change.
  asio::steady_timer clock_turn_{context_, asio::steady_timer::time_point::max()};
  sandboxes::TemplateStore templates_;
  std::unique_ptr<namespaces::ContainerRuntime> runtime_;
  std::unique_ptr<base::BlockingPool> blocking_;
  std::unique_ptr<store::Database> store_;
  std::unique_ptr<sandboxes::PausedStore> paused_;
  Instruments instruments_{context_.get_executor(), clock_, options_};
  std::unique_ptr<NetworkStack> network_;
  std::unique_ptr<dns::Server> dns_server_;
  std::unique_ptr<volumes::Volumes> volumes_;
  std::unique_ptr<secrets::SecretStore> secrets_;
  std::shared_ptr<sandboxes::SlotPool> slots_;
  std::unique_ptr<sandboxes::BlankPool> blanks_;
  std::unique_ptr<sandboxes::SnapshotCatalogue> snapshots_;
  std::unique_ptr<sandboxes::LocalSandboxService> service_;
  std::unique_ptr<proxy::CertificateAuthority> authority_;
  std::unique_ptr<fakeapi::cloud::CloudApi> cloud_;
  std::unique_ptr<control::ControlApi> control_;
  std::unique_ptr<proxy::TlsContext> tls_;
  std::unique_ptr<proxy::FrontDoor> front_door_;
  std::vector<std::unique_ptr<proxy::Listener>> listeners_;
  std::uint16_t port_ = 0;
  std::optional<std::uint16_t> https_port_;
  std::optional<std::uint16_t> dns_port_;
};

Application::Step Application::prepare_directories() {
  if (::geteuid() != 0) {
    return failed(config::kPrivilege,
                  base::Error(Errc::kPermissionDenied, "sandlot serve needs root"), "start");
  }
  if (auto made = base::make_directories(options_.data_dir, 0711); !made) {
    return failed(config::kFailure, made.error(), "data directory");
  }
  if (auto made = base::make_directories(options_.run_dir); !made) {
    return failed(config::kFailure, made.error(), "run directory");
  }
  if (auto opened = open_store(); !opened) return opened;
  // Without knowing what is paused nothing may be removed.
  auto kept = sandboxes::paused_files(*store_);
  if (!kept) return failed(config::kFailure, kept.error(), "database");
  collect_garbage_of_others(options_.run_dir, options_.data_dir, *kept);
  instance_directory_.path = options_.run_dir / instance_;
  if (auto claimed = namespaces::claim_instance(options_.run_dir, instance_); !claimed) {
    return failed(config::kFailure, claimed.error(), "run directory");
  }
  return {};
}

Application::Step Application::start_runtime() {
  namespaces::RuntimeOptions runtime;
  runtime.instance = instance_;
  runtime.run_dir = instance_directory_.path;
  runtime.data_dir = options_.data_dir;
  auto started = namespaces::start_linux_runtime(context_.get_executor(), runtime);
  if (!started) return failed(code_of(started.error()), started.error(), "container runtime");
  runtime_ = std::move(*started);
  blocking_ = std::make_unique<base::BlockingPool>(2);  // the first threads, after the spawner
  network_ = std::make_unique<NetworkStack>(context_.get_executor(), options_, clock_, *blocking_,
                                            instance_directory_.path);
  return {};
}

Application::Step Application::open_store() {
  auto opened = store::Database::open(options_.data_dir / "sandlot.db");
  if (!opened) {
    bool newer = opened.error().code() == Errc::kFailedPrecondition;
    return failed(newer ? config::kConfiguration : config::kFailure, opened.error(), "database");
  }
  store_ = std::move(*opened);
  if (auto kept = instruments_.open_events(*store_, instance_); !kept) {
    return failed(config::kFailure, kept.error(), "events");
  }
  return {};
}

Application::Step Application::open_authority() {
  auto authority = proxy::CertificateAuthority::open(options_.data_dir / "ca",
                                                     {options_.domain, options_.hosts});
  if (!authority) return failed(config::kFailure, authority.error(), "certificate authority");
  authority_ = std::move(*authority);
  return {};
}

Application::Step Application::make_templates() {
  auto derived =
      sandboxes::derive_base_template(options_.data_dir / "templates" / "base", "/",
                                      trusted_roots(options_.domain, *authority_, *network_));
  if (!derived) return failed(code_of(derived.error()), derived.error(), "base template");
  sandboxes::add_built_in_templates(templates_, derived->rootfs, derived->usr, clock_.now());
  return {};
}

Application::Step Application::start_network() {
  NetworkStack::Lookups lookups;
  lookups.id_by_address = [this](const std::string& address) {
    return service_ ? service_->id_by_address(address) : std::nullopt;
  };
  lookups.policy_of = [this](const std::string& id) {
    return service_ ? service_->policy_of(id) : nullptr;
  };
  lookups.rules_of = [this](const std::string& id) {
    return service_ ? service_->rules_of(id) : nullptr;
  };
  lookups.name_fault = instruments_.name_fault();
  auto roots = base::read_file(authority_->bundle_file(), 16U << 20U).value_or("");
  return network_->start(std::move(lookups), std::move(roots));
}

Application::Step Application::start_service() {
  // `exec` leaves nothing behind, so it writes nothing down and takes over nothing.
  if (!exec_) {
    paused_ = std::make_unique<sandboxes::PausedStore>(*store_, options_.data_dir, instance_);
  }
  volumes_ = std::make_unique<volumes::Volumes>(context_.get_executor(), clock_, *store_,
                                                options_.data_dir, instance_directory_.path);
  auto secrets = secrets::SecretStore::open(*store_, clock_);
  if (!secrets) return failed(config::kFailure, secrets.error(), "secrets");
  secrets_ = std::move(*secrets);
  sandboxes::FailStep fail_step = fail_step_from_environment();
  auto make_slot = [this](int index, std::uint32_t serial, bool used) {
    return netfilter::make_slot(network_->network(), index, serial, used);
  };
  slots_ = std::make_shared<sandboxes::SlotPool>(*blocking_, make_slot,
                                                 std::max(options_.pool, kReadySlots));
  // With --seed the n-th create has the n-th id, so none is drawn before somebody asks.
  unsigned pool = options_.seed ? 0 : options_.pool;
  blanks_ = std::make_unique<sandboxes::BlankPool>(context_.get_executor(), *runtime_, slots_, pool,
                                                   fail_step);
  sandboxes::LocalSandboxService::Hooks hooks = sandbox_hooks(*network_, options_);
  hooks.fail_step = fail_step;
  hooks.paused = paused_.get();
  hooks.record = [this](auto event) { instruments_.record(std::move(event)); };
  hooks.secrets = secrets_.get();
  hooks.volumes = volumes_->store();
  service_ = std::make_unique<sandboxes::LocalSandboxService>(
      context_.get_executor(), clock_, templates_, *blanks_, std::move(hooks));
  service_->set_max_running(options_.max_sandboxes);
  snapshots_ = std::make_unique<sandboxes::SnapshotCatalogue>(
      context_.get_executor(), *store_, templates_, options_.data_dir, instance_);
  service_->set_snapshots(snapshots_.get());
  blanks_->keep_ready(*templates_.find("base"));
  return {};
}

Application::Step Application::restore_paused() {
  if (!paused_) return {};
  auto records = paused_->adopt();
  if (!records) return failed(config::kFailure, records.error(), "paused sandboxes");
  service_->restore(std::move(*records));
  return {};
}

Application::Step Application::open_front_door() {
  auto tls = proxy::TlsContext::create(*authority_);
  if (!tls) return failed(config::kFailure, tls.error(), "TLS");
  tls_ = std::move(*tls);

  control_ =
      std::make_unique<control::ControlApi>(*this, control_hosts(options_), options_.control_token);
  control_->add_routes(fakenet::control_routes(network_->internet()));
  control_->add_routes(
      decisions::control_routes(network_->decisions(), network_->explain_lookups()));
  control_->add_routes(instruments_.routes(*service_, *network_, *this));
  auto cloud = [this](const auto& head, auto& connection) {
    return cloud_->handle(head, connection);
  };
  proxy::FrontDoorParts parts{
      .directory = *service_,
      .open_socket =
          [](int netns, int family) {
            return netfilter::open_socket_in(netns, family, SOCK_STREAM);
          },
      .cloud = instruments_.journaled(std::move(cloud)),
      .control = [this](const auto& head,
                        auto& connection) { return control_->handle(head, connection); },
      .tls = tls_.get(),
      .on_request = [this](const auto& record) { instruments_.on_request(record); },
      .on_relayed = nullptr,
      .faults = &instruments_.faults()};
  proxy::FrontDoorOptions door;
  door.names = {options_.domain, options_.hosts};
  front_door_ = std::make_unique<proxy::FrontDoor>(context_.get_executor(), door, std::move(parts));
  return {};
}

Application::Step Application::listen_on(std::uint16_t wanted,
                                         bool tls_only,
                                         std::uint16_t& bound) {
  // Loopback is one listener for both families; other addresses are one each, on the same port.
  std::vector<std::string> addresses = options_.hosts;
  if (addresses == config::Options().hosts) addresses = {""};
  bound = wanted;
  for (const std::string& address : addresses) {
    proxy::ListenOptions options{.address = address, .port = bound, .tls_only = tls_only};
    auto listener = proxy::Listener::open(context_.get_executor(), *front_door_, options);
    if (!listener) {
      bool busy = listener.error().code() == Errc::kAlreadyExists;
      return failed(busy ? config::kPortBusy : config::kFailure, listener.error(), "listen");
    }
    bound = (*listener)->port();
    listeners_.push_back(std::move(*listener));
  }
  return {};
}

Application::Step Application::start_listening() {
  if (auto opened = open_front_door(); !opened) return opened;
  if (auto bound = listen_on(options_.port, false, port_); !bound) return bound;
  if (options_.https_port) {
    std::uint16_t port = 0;
    if (auto bound = listen_on(*options_.https_port, true, port); !bound) return bound;
    https_port_ = port;
  }
  std::vector<std::uint16_t> ports = {80, 443, port_, https_port_.value_or(port_)};
  auto own_door =
      open_own_door(context_.get_executor(), options_.domain, *front_door_, ports, *network_);
  if (!own_door) return tl::unexpected(std::move(own_door.error()));
  if (*own_door) listeners_.push_back(std::move(*own_door));
  fakeapi::cloud::CloudOptions cloud;
  if (options_.auth == config::Auth::kStrict) cloud.api_keys = options_.api_keys;
  cloud.network_immutable = options_.network_immutable;
  cloud.public_domain = options_.domain + ":" + std::to_string(port_);
  cloud.public_urls = {options_.domain, std::move(ports)};
  if (auto rate = options_.create_rate) cloud.create_rate.emplace(rate->count, rate->per);
  cloud.events = instruments_.events();
  cloud.logs = instruments_.logs();
  volumes_->serve(cloud);
  cloud.secrets = secrets_.get();
  cloud_ = std::make_unique<fakeapi::cloud::CloudApi>(*service_, clock_, cloud);
  return start_dns();
}

Application::Step Application::start_dns() {
  if (!options_.dns_port) return {};
  auto servers = [this] { return network_->resolvers().servers(); };
  dns_server_ = std::make_unique<dns::Server>(context_.get_executor(),
                                              std::vector<std::string>{options_.domain}, servers);
  auto port = dns_server_->start(options_.dns_host, *options_.dns_port);
  if (!port) return failed(config::kPortBusy, port.error(), "DNS server");
  dns_port_ = *port;
  return {};
}

cli::Endpoint Application::endpoint() const {
  cli::Endpoint endpoint = cli::make_endpoint(options_, instance_);
  endpoint.port = port_;
  endpoint.https_port = https_port_;
  endpoint.ca_file = authority_->certificate_file();
  endpoint.bundle_file = authority_->bundle_file();
  endpoint.dns_port = dns_port_;
  return endpoint;
}

asio::awaitable<void> Application::wait_for_signal() {
  asio::signal_set signals(context_, SIGINT, SIGTERM);
  auto [error, number] = co_await signals.async_wait(base::kUse);
  if (!error) base::log::info("serve.stopping", {{"signal", std::to_string(number)}});
}

asio::awaitable<void> Application::serve() {
  // Blank sandboxes first: "ready" means that the first create is a fast one.
  co_await blanks_->filled();
  co_await snapshots_->collect();
  co_await volumes_->start();
  for (auto& listener : listeners_) listener->start();
  ready_ = true;
  cli::Endpoint where = endpoint();
  if (auto written = cli::write_endpoint(instance_directory_.path, where); !written) {
    base::log::warn("endpoint.failed", {{"error", written.error().message()}});
  }
  if (exec_) {
    exit_code_ = co_await cli::run_exec_child(*exec_, where, instance_directory_.path);
  } else {
    cli::announce_ready(where);
    co_await wait_for_signal();
  }
  co_await shut_down();
  context_.stop();
}

asio::awaitable<void> Application::shut_down() {
  ready_ = false;
  for (auto& listener : listeners_) co_await listener->stop();
  co_await front_door_->stop();
  co_await service_->stop(true);
  co_await instruments_.stop();
  co_await snapshots_->stop();
  co_await blanks_->stop();
  co_await volumes_->stop();
  co_await network_->stop();
  if (dns_server_) co_await dns_server_->stop();
  co_await network_->stop_internet();
  co_await runtime_->drain();
}

int Application::run() {
  if (options_.seed) {
    base::seed_ids(*options_.seed);
    base::log::warn("seed.set", {{"tokens", "can be foretold: for tests only"}});
  }
  ::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  auto started = prepare_directories()
                     .and_then([this] { return start_runtime(); })
                     .and_then([this] { return network_->read_internet(); })
                     .and_then([this] { return open_authority(); })
                     .and_then([this] { return make_templates(); })
                     .and_then([this] { return start_network(); })
                     .and_then([this] { return start_service(); })
                     .and_then([this] { return restore_paused(); })
                     .and_then([this] { return start_listening(); });
  if (!started) {
    base::log::error("serve.failed", {{"error", started.error().error.message()}});
    return started.error().exit_code;
  }
  auto crashed = [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  asio::co_spawn(context_, serve(), crashed);
  context_.run();
  return exit_code_;
}

Task<std::vector<std::pair<std::string, std::size_t>>> Application::reset() {
  std::vector<std::pair<std::string, std::size_t>> removed;
  removed.emplace_back("sandboxes", co_await service_->kill_all());
  control::ClockChange back;
  back.reset = true;
  SANDLOT_CO_CHECK(co_await change_clock(back));
  for (auto& kind : instruments_.clear()) removed.push_back(std::move(kind));
  removed.emplace_back("decisions", network_->decisions().clear());
  if (fakenet::FakeInternet* internet = network_->internet()) {
    removed.emplace_back("canary", internet->canary().counters().size());
    internet->clear_canary();
  }
  co_return removed;
}

control::ClockReport Application::clock() const {
  return {clock_.now(), clock_.offset(), clock_.frozen_at().has_value()};
}

Task<> Application::change_clock(control::ClockChange change) {
  // One after the other: the agents must end with what the clock ends with.
  while (changing_clock_) co_await clock_turn_.async_wait(base::kUse);
  changing_clock_ = true;
  base::ScopeExit done([this] {
    changing_clock_ = false;
    clock_turn_.cancel();
  });
  if (!change.reset && clock_.now() + change.advance > kLastMoment) {
    co_return base::fail(Errc::kInvalidArgument, "the clock ends with the year 2200");
  }
  if (change.reset) clock_.reset();
  if (change.freeze) *change.freeze ? clock_.freeze() : clock_.thaw();
  // The agents before the deadlines: what a woken one does must not meet an agent in the past.
  auto setting = agents_clock(clock_, change.advance);
  co_await service_->clock_changed(setting);
  clock_.advance(change.advance);
  co_return base::Result<>();
}

control::StateReport Application::count(const netfilter::NetworkCounts& network) const {
  control::StateReport report;
  for (const auto& info : service_->list()) {
    bool paused = info.state == fakeapi::cloud::SandboxState::kPaused;
    report.sandboxes.emplace_back(info.sandbox_id, paused ? "paused" : "running");
  }
  auto objects = namespaces::count_objects(options_.data_dir, instance_);
  report.counts = {
      {"sandboxes", service_->size()},
      {"blanks", blanks_->ready()},
      {"netns", slots_->alive()},
      {"links", network.links},
      {"rules", network.rules},
      {"mounts", count_mounts(options_.data_dir) + count_mounts(instance_directory_.path)}};
  if (objects) {
    report.counts.emplace_back("cgroups", objects->cgroups);
    report.counts.emplace_back("directories", objects->directories + objects->trash);
  }
  report.counts.emplace_back("egressConnections", network_->egress().connections());
  return report;
}

Task<control::StateReport> Application::state() {
  auto work = [this] { return netfilter::count_network(network_->network()); };
  SANDLOT_CO_TRY(netfilter::NetworkCounts network,
                 co_await base::offload(*blocking_, std::move(work)));
  co_return count(network);
}

}  // namespace

int serve(const config::Options& options, std::optional<cli::ExecRequest> exec) {
  Application application(options, std::move(exec));
  return application.run();
}

}  // namespace emulator
