#include "emulator/network_stack.h"

#include <utility>

#include "emulator/dns/lookup.h"
#include "emulator/fakenet/host_file.h"
#include "netfilter/slot_policy.h"

namespace emulator {

namespace asio = boost::asio;
namespace egress = netfilter::egress;

namespace {

// As long as the forwarder takes for a sandbox's own question.
constexpr auto kLookupLimit = std::chrono::seconds(2);

egress::Uplink uplink_of(config::Internet internet) {
  switch (internet) {
    case config::Internet::kHost:
      return egress::Uplink::kHost;
    case config::Internet::kFake:
      return egress::Uplink::kSwitch;
    case config::Internet::kNone:
      break;
  }
  return egress::Uplink::kNone;
}

}  // namespace

NetworkStack::NetworkStack(asio::any_io_executor executor,
                           const config::Options& options,
                           base::BlockingPool& blocking,
                           std::filesystem::path run_dir)
    : executor_(std::move(executor)),
      options_(options),
      blocking_(blocking),
      run_dir_(std::move(run_dir)) {}

StartStep NetworkStack::read_internet() {
  if (options_.internet != config::Internet::kFake) return {};
  auto hosts = fakenet::load_hosts(options_.internet_file);
  if (!hosts) return failed(config::kConfiguration, hosts.error(), "fake internet");
  internet_hosts_ = std::move(*hosts);
  auto authority = fakenet::Authority::open(options_.data_dir / "fakenet-ca");
  if (!authority) return failed(config::kFailure, authority.error(), "fake internet");
  internet_authority_ = std::move(*authority);
  return {};
}

StartStep NetworkStack::start(Lookups lookups) {
  bool fake = options_.internet == config::Internet::kFake;
  auto network = netfilter::SwitchNamespace::create(run_dir_, netfilter::SwitchPorts(), fake);
  if (!network) return failed(code_of(network.error()), network.error(), "switch namespace");
  network_ = std::move(*network);
  if (auto opened = open_internet(); !opened) return opened;
  if (auto started = start_dns(); !started) return started;
  return start_egress(std::move(lookups));
}

StartStep NetworkStack::open_internet() {
  servers_ = [this] { return resolvers_.servers(); };
  if (options_.internet != config::Internet::kFake) return {};
  auto made = fakenet::FakeInternet::create(
      executor_, run_dir_, *network_, std::move(*internet_hosts_), std::move(internet_authority_));
  if (!made) return failed(code_of(made.error()), made.error(), "fake internet");
  internet_ = std::move(*made);
  // The fake internet's own resolver, over the link, so that its canary sees the questions.
  servers_ = [] { return dns::parse_resolv_conf("nameserver 8.8.8.8\n"); };
  open_dns_socket_ = [this](int family, int type) {
    return netfilter::open_socket_in(network_->fd(), family, type);
  };
  return {};
}

StartStep NetworkStack::start_dns() {
  dns::Forwarder::Options forwarding;
  forwarding.internet = options_.internet != config::Internet::kNone;
  forwarding.open_socket = open_dns_socket_;
  forwarder_ = std::make_unique<dns::Forwarder>(executor_, servers_, forwarding);
  if (auto started = forwarder_->start(*network_); !started) {
    return failed(config::kFailure, started.error(), "DNS forwarder");
  }
  return {};
}

StartStep NetworkStack::start_egress(Lookups lookups) {
  egress::EgressProxy::Options options;
  options.uplink = uplink_of(options_.internet);
  egress::EgressProxy::Hooks hooks;
  hooks.sandbox_of = [find = std::move(lookups.id_by_address)](
                         const std::string& address) -> std::optional<egress::SandboxRef> {
    auto id = find(address);
    if (!id) return std::nullopt;
    return egress::SandboxRef{*id};
  };
  hooks.policy_of = std::move(lookups.policy_of);
  hooks.resolve = [this](std::string name) {
    return dns::look_up(std::move(name), servers_(), kLookupLimit, open_dns_socket_);
  };
  hooks.serve_dns = [this](asio::ip::tcp::socket& client) {
    return forwarder_->serve_stream(client);
  };
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

asio::awaitable<void> NetworkStack::stop() {
  co_await egress_->stop();
  co_await forwarder_->stop();
}

asio::awaitable<void> NetworkStack::stop_internet() {
  if (internet_) co_await internet_->stop();
}

}  // namespace emulator
