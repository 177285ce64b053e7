#include "emulator/network_stack.h"

#include <utility>

#include "emulator/dns/lookup.h"
#include "emulator/dns/message.h"
#include "emulator/fakenet/host_file.h"
#include "emulator/process_setup.h"
#include "emulator/proxy/sandbox_host.h"
#include "netfilter/bandwidth.h"
#include "netfilter/slot_policy.h"

namespace emulator {

namespace asio = boost::asio;
namespace egress = netfilter::egress;

namespace {

// As long as the forwarder takes for a sandbox's own question.
constexpr auto kLookupLimit = std::chrono::seconds(2);

// What a sandbox's resolv.conf names.
// Public and nobody's (RFC 2544): sandboxes reach the front door there (contract-network 5.7).
constexpr netfilter::Ipv4 kOwnDoor = {198, 18, 0, 1};

const netfilter::Destination kNameserver = {{8, 8, 8, 8}, 53, netfilter::Protocol::kUdp};

}  // namespace

NetworkStack::NetworkStack(asio::any_io_executor executor,
                           const config::Options& options,
                           const base::Clock& clock,
                           base::BlockingPool& blocking,
                           std::filesystem::path run_dir)
    : executor_(std::move(executor)),
      options_(options),
      blocking_(blocking),
      run_dir_(std::move(run_dir)),
      decisions_(executor_, clock, options.decision_log),
      way_out_(options, run_dir_) {}

StartStep NetworkStack::read_internet() {
  if (auto found = way_out_.find(); !found)
    return failed(config::kConfiguration, found.error(), "--internet");
  auto egress_authority = intercept::Authority::open(options_.data_dir / "egress-ca");
  if (!egress_authority) return failed(config::kFailure, egress_authority.error(), "egress CA");
  egress_authority_ = std::move(*egress_authority);
  if (options_.internet != config::Internet::kFake) return {};
  auto hosts = fakenet::load_hosts(options_.internet_file);
  if (!hosts) return failed(config::kConfiguration, hosts.error(), "fake internet");
  internet_hosts_ = std::move(*hosts);
  auto authority = fakenet::Authority::open(options_.data_dir / "fakenet-ca");
  if (!authority) return failed(config::kFailure, authority.error(), "fake internet");
  internet_authority_ = std::move(*authority);
  return {};
}

StartStep NetworkStack::start(Lookups lookups, std::string roots) {
  lookups_ = std::move(lookups);
  if (internet_authority_) roots += internet_authority_->pem();
  auto interceptor =
      intercept::Interceptor::create(*egress_authority_, std::move(roots), lookups_.rules_of);
  if (!interceptor) return failed(config::kFailure, interceptor.error(), "header rules");
  interceptor_ = std::move(*interceptor);
  netfilter::SwitchPorts ports;
  if (!forwards_dns()) ports.dns = 0;
  auto network = netfilter::SwitchNamespace::create(run_dir_, ports, way_out_.through_uplink());
  if (!network) return failed(code_of(network.error()), network.error(), "switch namespace");
  network_ = std::move(*network);
  if (auto opened = open_internet(); !opened) return opened;
  if (auto started = start_dns(); !started) return started;
  return start_egress();
}

StartStep NetworkStack::open_internet() {
  servers_ = [this] {
    return way_out_.through_switch() ? way_out_.servers() : resolvers_.servers();
  };
  // That internet's own resolver is asked over the link, so that the fake one's canary sees it.
  if (way_out_.through_switch()) {
    open_dns_socket_ = [this](int family, int type) {
      return netfilter::open_socket_in(network_->fd(), family, type);
    };
  }
  if (auto connected = way_out_.connect(*network_); !connected)
    return failed(code_of(connected.error()), connected.error(), "uplink");
  if (options_.internet != config::Internet::kFake) return {};
  auto made = fakenet::FakeInternet::create(
      executor_, run_dir_, *network_, std::move(*internet_hosts_), std::move(internet_authority_));
  if (!made) return failed(code_of(made.error()), made.error(), "fake internet");
  internet_ = std::move(*made);
  return {};
}

// Without an internet there is nothing that a question could reach directly: it is answered at
// once.
bool NetworkStack::forwards_dns() const {
  return options_.dns_mode == config::DnsMode::kForward ||
         options_.internet == config::Internet::kNone;
}

StartStep NetworkStack::start_dns() {
  if (!forwards_dns()) return {};
  dns::Forwarder::Options forwarding;
  forwarding.internet = options_.internet != config::Internet::kNone;
  forwarding.open_socket = open_dns_socket_;
  forwarding.own_name = [this](const std::string& name) { return own_address(name); };
  forwarding.has_no_name = [this](const asio::ip::address& client, const std::string& name) {
    return is_name_fault(client.to_string(), name);
  };
  if (options_.decision_log > 0) {
    forwarding.on_question = [this](const dns::QuestionEvent& event) { log_question(event); };
  }
  forwarder_ = std::make_unique<dns::Forwarder>(executor_, servers_, forwarding);
  if (auto started = forwarder_->start(*network_); !started) {
    return failed(config::kFailure, started.error(), "DNS forwarder");
  }
  return {};
}

bool NetworkStack::is_name_fault(const std::string& client, const std::string& name) const {
  auto id = lookups_.id_by_address(client);
  return id && lookups_.name_fault(*id, name);
}

void NetworkStack::log_question(const dns::QuestionEvent& event) {
  auto id = lookups_.id_by_address(event.client.to_string());
  auto policy = id ? lookups_.policy_of(*id) : nullptr;
  if (!policy) return;
  // The slot's rules let it pass; this only says which entry they were made of.
  netfilter::Destination destination = kNameserver;
  if (event.transport == dns::Transport::kTcp) destination.protocol = netfilter::Protocol::kTcp;
  decisions_.asked(*id, netfilter::decide(*policy, destination), event);
}

netfilter::Decision NetworkStack::judge(const netfilter::Policy& policy,
                                        netfilter::Destination destination,
                                        netfilter::Trace* trace) {
  destination.machine_local = egress_->is_machine_local(destination.address);
  auto decision = netfilter::decide(policy, destination, trace);
  bool to_forwarder = forwards_dns() && destination.protocol == netfilter::Protocol::kUdp &&
                      destination.address == kNameserver.address &&
                      destination.port == kNameserver.port;
  bool leaves = way_out_.carries_datagrams() || to_forwarder;
  if (decision.allowed && !leaves) {
    decision = {false, netfilter::MatchType::kNone, "no way out for UDP and ICMP"};
    if (trace != nullptr) trace->push_back({decision.rule, true});
  }
  return decision;
}

void NetworkStack::set_own_door(std::uint16_t listens_on, std::vector<std::uint16_t> ports) {
  egress_->set_own_door({kOwnDoor, std::move(ports), listens_on});
}

std::optional<netfilter::Ipv4> NetworkStack::own_address(const std::string& name) const {
  // *.localhost is the sandbox itself for most resolvers.
  if (options_.domain == "localhost" || !dns::is_under(name, options_.domain)) return std::nullopt;
  auto target = proxy::find_target(name, {}, {options_.domain, {}});
  if (target.kind != proxy::Target::Kind::kSandbox) return std::nullopt;
  return kOwnDoor;
}

base::Task<std::vector<netfilter::Ipv4>> NetworkStack::look_up(std::string name) {
  if (auto own = own_address(name)) co_return std::vector<netfilter::Ipv4>(1, *own);
  if (options_.internet == config::Internet::kNone) co_return std::vector<netfilter::Ipv4>();
  co_return co_await dns::look_up(std::move(name), servers_(), kLookupLimit, open_dns_socket_);
}

base::Task<std::vector<netfilter::Ipv4>> NetworkStack::resolve(
    std::string name, std::shared_ptr<fakenet::Hosts> hosts) {
  if (!hosts || own_address(name)) co_return co_await look_up(std::move(name));
  co_return hosts->resolve(name).addresses;
}

decisions::Lookups NetworkStack::explain_lookups() {
  decisions::Lookups lookups;
  lookups.policy_of = lookups_.policy_of;
  lookups.resolver = [this]() -> egress::EgressProxy::Resolve {
    std::shared_ptr<fakenet::Hosts> hosts;
    if (internet_) hosts = std::make_shared<fakenet::Hosts>(internet_->hosts());
    return [this, hosts](std::string name) { return resolve(std::move(name), hosts); };
  };
  lookups.foretell = [this](egress::Flow flow, egress::EgressProxy::Resolve resolve,
                            netfilter::Trace* trace) {
    return egress_->foretell(std::move(flow), std::move(resolve), trace);
  };
  lookups.is_internal = [this](const netfilter::Ipv4& address) {
    return netfilter::is_internal(address, egress_->is_machine_local(address));
  };
  lookups.judge = [this](const netfilter::Policy& policy, const netfilter::Destination& destination,
                         netfilter::Trace* trace) { return judge(policy, destination, trace); };
  return lookups;
}

StartStep NetworkStack::start_egress() {
  egress::EgressProxy::Options options;
  options.uplink = way_out_.egress_uplink();
  // Two descriptors a connection: sandboxes together may take half of what there is, and one of
  // them an eighth, so that the API and the rules of a policy never lack any.
  options.connections = descriptor_limit() / 4;
  options.connections_per_sandbox =
      std::min(options.connections_per_sandbox, descriptor_limit() / 16);
  egress::EgressProxy::Hooks hooks;
  hooks.sandbox_of = [this](const std::string& address) -> std::optional<egress::SandboxRef> {
    auto id = lookups_.id_by_address(address);
    if (!id) return std::nullopt;
    return egress::SandboxRef{*id};
  };
  hooks.policy_of = lookups_.policy_of;
  hooks.resolve = [this](std::string name) { return look_up(std::move(name)); };
  hooks.is_changed = [this](const egress::Flow& flow) { return interceptor_->concerns(flow); };
  hooks.carry_changed = [this](egress::Connection& connection, std::string first_flight) {
    return interceptor_->carry(connection, std::move(first_flight));
  };
  if (forwarder_) {
    hooks.serve_dns = [this](egress::Connection& connection) {
      return forwarder_->serve_stream(connection.client, {connection.sent, connection.received});
    };
  }
  if (options_.decision_log > 0) {
    hooks.on_flow = [this](const egress::FlowEvent& event) { decisions_.judged(event); };
    hooks.on_end = [this](const egress::FlowEnd& end) { decisions_.ended(end); };
  }
  egress_ = std::make_unique<egress::EgressProxy>(executor_, options, std::move(hooks));
  if (auto started = egress_->start(*network_); !started) {
    return failed(config::kFailure, started.error(), "egress proxy");
  }
  return {};
}

base::Task<> NetworkStack::apply_policy(std::shared_ptr<const base::UniqueFd> netns,
                                        std::shared_ptr<const netfilter::Policy> policy) {
  netfilter::RuleLoader loader{network_->slot_restore_tool(), run_dir_};
  auto work = [netns, policy, loader] {
    return netfilter::apply_slot_policy(netns->get(), *policy, loader);
  };
  co_return co_await base::offload(blocking_, std::move(work));
}

base::Task<> NetworkStack::close_slot(std::shared_ptr<const base::UniqueFd> netns) {
  netfilter::RuleLoader loader{network_->slot_restore_tool(), run_dir_};
  auto work = [netns, loader] { return netfilter::close_slot(netns->get(), loader); };
  co_return co_await base::offload(blocking_, std::move(work));
}

base::Task<> NetworkStack::set_bandwidth(std::shared_ptr<const base::UniqueFd> netns,
                                         std::optional<std::uint64_t> bytes_per_second) {
  auto work = [netns, bytes_per_second, network = network_->fd()] {
    return netfilter::set_bandwidth(network, netns->get(), bytes_per_second);
  };
  co_return co_await base::offload(blocking_, std::move(work));
}

asio::awaitable<void> NetworkStack::stop() {
  co_await egress_->stop();
  if (forwarder_) co_await forwarder_->stop();
}

asio::awaitable<void> NetworkStack::stop_internet() {
  if (internet_) co_await internet_->stop();
}

}  // namespace emulator
