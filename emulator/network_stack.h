// Everything between a sandbox's eth0 and the internet, as one part: the switch namespace, the way
// out that --internet names, the DNS forwarder and the egress proxy. Made by the application; knows
// no sandbox but by the lookups it is given.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "emulator/base/async.h"
#include "emulator/base/clock.h"
#include "emulator/config/options.h"
#include "emulator/decisions/control_routes.h"
#include "emulator/decisions/decision_log.h"
#include "emulator/dns/forwarder.h"
#include "emulator/fakenet/authority.h"
#include "emulator/fakenet/fake_internet.h"
#include "emulator/fakenet/hosts.h"
#include "emulator/intercept/authority.h"
#include "emulator/intercept/interceptor.h"
#include "emulator/start_failure.h"
#include "emulator/way_out.h"
#include "netfilter/egress/egress_proxy.h"
#include "netfilter/network.h"
#include "netfilter/policy.h"

namespace emulator {

class NetworkStack {
 public:
  // What the proxy asks about sandboxes (EgressProxy::Hooks).
  struct Lookups {
    std::function<std::optional<std::string>(const std::string& address)> id_by_address;
    std::function<std::shared_ptr<const netfilter::Policy>(const std::string& id)> policy_of;
    std::function<std::shared_ptr<const intercept::HeaderRules>(const std::string& id)> rules_of;
    // Whether a sandbox's question for this name (lower case) is to find nothing.
    std::function<bool(const std::string& id, const std::string& name)> name_fault;
  };

  // `options`, `clock` and `blocking` outlive the stack. `run_dir` is the instance's own.
  NetworkStack(boost::asio::any_io_executor executor,
               const config::Options& options,
               const base::Clock& clock,
               base::BlockingPool& blocking,
               std::filesystem::path run_dir);
  NetworkStack(const NetworkStack&) = delete;
  NetworkStack& operator=(const NetworkStack&) = delete;

  // Finds what --internet names; the file of the fake internet and its certificate authority, if
  // there is one: before the templates are made, which trust it.
  StartStep read_internet();
  // Null without a fake internet, and after start().
  const fakenet::Authority* internet_authority() const { return internet_authority_.get(); }

  // The one that answers in the name of hosts with header rules; after read_internet().
  const intercept::Authority& egress_authority() const { return *egress_authority_; }

  // `roots` (PEM): who vouches for servers on the internet, and for the emulator's own front door.
  StartStep start(Lookups lookups, std::string roots);
  // Where sandboxes' requests for names of the emulator's domain arrive: `listens_on` of the
  // loopback, for the ports that clients use. Before the first sandbox.
  void set_own_door(std::uint16_t listens_on, std::vector<std::uint16_t> ports);
  // Makes the kernel of the sandbox's network obey `policy`, off the loop.
  base::Task<> apply_policy(std::shared_ptr<const base::UniqueFd> netns,
                            std::shared_ptr<const netfilter::Policy> policy);
  // After a policy that could not be applied.
  base::Task<> close_slot(std::shared_ptr<const base::UniqueFd> netns);
  // How fast the sandbox's network is (netfilter/bandwidth.h), off the loop.
  base::Task<> set_bandwidth(std::shared_ptr<const base::UniqueFd> netns,
                             std::optional<std::uint64_t> bytes_per_second);
  // Before the first sandbox that may send anything but TCP (WayOut).
  boost::asio::awaitable<void> open_for_datagrams() {
    return way_out_.open_for_datagrams(blocking_);
  }
  // Egress and DNS; the fake internet goes last, by stop_internet().
  boost::asio::awaitable<void> stop();
  boost::asio::awaitable<void> stop_internet();

  netfilter::SwitchNamespace& network() { return *network_; }
  netfilter::egress::EgressProxy& egress() { return *egress_; }
  fakenet::FakeInternet* internet() { return internet_.get(); }
  // What the proxy and the forwarder decided.
  decisions::DecisionLog& decisions() { return decisions_; }
  // Whether sandboxes' questions for names are answered here.
  bool forwards_dns() const;
  // What `explain` asks of the network. After start().
  decisions::Lookups explain_lookups();
  // The machine's resolvers, whatever --internet says.
  dns::HostResolvers& resolvers() { return resolvers_; }

 private:
  StartStep open_internet();
  StartStep start_dns();
  StartStep start_egress();
  bool is_name_fault(const std::string& client, const std::string& name) const;
  void log_question(const dns::QuestionEvent& event);
  // decide() on a datagram, with what only the network knows: the machine's addresses and the ways
  // out.
  netfilter::Decision judge(const netfilter::Policy& policy,
                            netfilter::Destination destination,
                            netfilter::Trace* trace);
  // Where sandboxes find this name of the emulator's domain; nullopt: it is none of a sandbox.
  std::optional<netfilter::Ipv4> own_address(const std::string& name) const;
  // The addresses of a name as the proxy dials it.
  base::Task<std::vector<netfilter::Ipv4>> look_up(std::string name);
  // The same without a packet to the fake internet: of `hosts`, a copy of what it has.
  base::Task<std::vector<netfilter::Ipv4>> resolve(std::string name,
                                                   std::shared_ptr<fakenet::Hosts> hosts);

  boost::asio::any_io_executor executor_;
  const config::Options& options_;
  base::BlockingPool& blocking_;
  std::filesystem::path run_dir_;
  decisions::DecisionLog decisions_;
  Lookups lookups_;
  std::unique_ptr<netfilter::SwitchNamespace> network_;
  WayOut way_out_;
  // With --internet fake: what it consists of until start(), then itself.
  std::optional<fakenet::Hosts> internet_hosts_;
  std::unique_ptr<fakenet::Authority> internet_authority_;
  std::unique_ptr<fakenet::FakeInternet> internet_;
  dns::HostResolvers resolvers_;
  // Who answers for the internet, and where the questions leave.
  dns::ServerList servers_;
  dns::OpenSocket open_dns_socket_;
  std::unique_ptr<dns::Forwarder> forwarder_;
  std::unique_ptr<intercept::Authority> egress_authority_;
  std::unique_ptr<intercept::Interceptor> interceptor_;
  std::unique_ptr<netfilter::egress::EgressProxy> egress_;
};

}  // namespace emulator
