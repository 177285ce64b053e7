// The transparent TCP proxy: every TCP connection of every sandbox arrives here (rules of the
// switch namespace), is judged by decide() and dialled outside. Its listeners live inside the
// switch, its outgoing sockets in the namespace of the process. Made by emulator/application; runs
// on one io_context, not thread-safe.
//
// A refused connection is accepted and closed, as in the cloud (contract-network 0.1, 2.6): inside
// the sandbox connect() succeeds and the first read ends. Nothing is sent outside before the
// verdict, not even a SYN (NET-50).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/log_budget.h"
#include "emulator/base/result.h"
#include "emulator/base/task_group.h"
#include "netfilter/egress/flow.h"
#include "netfilter/egress/relay.h"
#include "netfilter/netlink.h"
#include "netfilter/network.h"

namespace netfilter::egress {

// Where allowed connections go: nowhere (closed at once), to the machine's network, or through the
// switch's own uplink (netfilter/uplink.h), by sockets that are opened inside the switch.
enum class Uplink { kNone, kHost, kSwitch };

// A connection has been judged, before it is dialled.
struct FlowEvent {
  const Flow& flow;
  const Decision& decision;
  std::uint64_t& mark;  // the observer's: what it leaves here comes back with the end
};

// A connection that was judged is over. Comes once for each FlowEvent, refused ones included.
struct FlowEnd {
  const Flow& flow;
  std::uint64_t mark = 0;
  std::optional<Ipv4> dialled = {};  // where it was connected to
  // Bytes from the sandbox to there, and back. What is answered in its place is not among them.
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  CloseReason reason = CloseReason::kEnded;
};

class EgressProxy {
 public:
  using Resolve = std::function<base::Task<std::vector<Ipv4>>(std::string name)>;
  struct Options {
    Uplink uplink = Uplink::kHost;
    // Beyond them: accepted and closed. Each takes two descriptors.
    std::size_t connections_per_sandbox = 10000;
    std::size_t connections = 1000000;  // of all sandboxes
    std::chrono::steady_clock::duration idle_limit = std::chrono::hours(1);
    std::chrono::steady_clock::duration dial_limit = std::chrono::seconds(30);
    // How long the first bytes are waited for where a name may decide; then there is none.
    std::chrono::steady_clock::duration peek_limit = std::chrono::seconds(30);
    // First flights of all connections together; beyond it each may have 4 KiB.
    std::size_t peek_budget = 64U << 20U;
  };
  struct Hooks {
    // The sandbox whose eth0 has this address ("10.71.0.7"); nullopt closes the connection.
    std::function<std::optional<SandboxRef>(std::string address)> sandbox_of;
    // The policy in force now; nullptr (the sandbox is gone) closes. Asked when a connection is
    // judged, not when it is accepted. Unset: everything public is allowed.
    std::function<std::shared_ptr<const Policy>(const std::string& sandbox_id)> policy_of;
    // The IPv4 addresses of a name as the machine sees them, for connections that are allowed by
    // name. Unset: such connections are closed.
    Resolve resolve;
    // Serves DNS over TCP to 8.8.8.8:53 in place of the internet, and counts the bytes. Optional.
    std::function<boost::asio::awaitable<void>(Connection& connection)> serve_dns;
    // Whether the requests of a connection are to be changed on their way; with an empty name,
    // whether its name is worth waiting for. Such a connection is dialled by name as `resolve`
    // says, and carry_changed() carries it from then on. Both or none.
    std::function<bool(const Flow& flow)> is_changed;
    std::function<boost::asio::awaitable<void>(Connection& connection, std::string first_flight)>
        carry_changed;
    // Told of every judged connection, and of its end. Optional.
    std::function<void(const FlowEvent&)> on_flow;
    std::function<void(const FlowEnd&)> on_end;
  };

  EgressProxy(boost::asio::any_io_executor executor, Options options, Hooks hooks);
  EgressProxy(const EgressProxy&) = delete;
  EgressProxy& operator=(const EgressProxy&) = delete;
  ~EgressProxy();

  // Where the names of the emulator's own domain lead; before the first sandbox.
  void set_own_door(OwnDoor door) { own_door_ = std::move(door); }
  // Opens the three listeners inside the switch and begins to accept. Takes microseconds.
  base::Result<> start(const SwitchNamespace& network);
  // The sandbox's policy is another one now: resets those of its live connections that lead where
  // it lets nothing through (contract-network 2.2).
  void policy_changed(const std::string& sandbox_id);
  // Resets every connection of the sandbox, on both sides.
  void cut_all(const std::string& sandbox_id);
  // Closes the listeners, resets every connection and waits for their tasks. Before destruction.
  boost::asio::awaitable<void> stop();

  // What would become of a connection to this address and port whose client begins with `kind`
  // (kOther: with neither a request nor a TLS handshake) and says `name`: by the code that judges
  // the real ones, but for `resolve` in place of the hook. Sends nothing. The flow comes back as it
  // would be on record; with `trace`, says there what was looked at.
  boost::asio::awaitable<Forecast> foretell(Flow flow, Resolve resolve, Trace* trace);
  // decide(), and whether there is a way out.
  Decision judge(const Policy& policy,
                 const Destination& destination,
                 Trace* trace = nullptr) const;
  // Whether the address belongs to the machine from which is dialled (contract-network 5.3). Not
  // before start().
  bool is_machine_local(const Ipv4& address);

  std::size_t connections() const { return connections_.size(); }

 private:
  using ConnectionPtr = std::shared_ptr<Connection>;
  struct Listener {
    boost::asio::ip::tcp::acceptor acceptor;
    FlowClass kind;
  };

  base::Result<> listen(const SwitchNamespace& network, std::uint16_t port, FlowClass kind);
  boost::asio::awaitable<void> accept_from(Listener& listener);
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, FlowClass kind);
  base::Result<Flow> identify(boost::asio::ip::tcp::socket& client, FlowClass kind);
  bool is_own_door(const Flow& flow) const;
  std::shared_ptr<const Policy> policy_of(const std::string& sandbox_id) const;
  boost::asio::awaitable<void> carry(ConnectionPtr connection);
  void report_judged(Connection& connection);
  void report_end(const Connection& connection);
  base::Task<> find_name(Connection& connection);
  // Whether the client's first bytes are read before the verdict.
  bool reads_name(const Policy& policy, const Flow& flow) const;
  // Whether it is answered here, not dialled.
  bool is_dns(const Ipv4& address, std::uint16_t port) const;
  boost::asio::awaitable<std::vector<Ipv4>> targets_of(
      const Flow& flow, bool is_changed, const Resolve& resolve, Decision& decision, Trace* trace);
  // To an address that an allowed flow's name leads to; nullopt: it may be dialled.
  std::optional<Decision> objection(const Flow& flow, bool by_name, const Ipv4& address);
  // Whether a connection that was judged before may lead to this address. One that was dialled by
  // address was never shown to be the name that it gives: the name does not count.
  static bool lets_through(const Policy& policy, const Connection& connection, const Ipv4& address);
  bool is_changed(const Flow& flow) const { return hooks_.is_changed && hooks_.is_changed(flow); }
  boost::asio::awaitable<bool> dial(Connection& connection, std::vector<Ipv4> targets);
  base::Task<> connect_to(Connection& connection, Ipv4 address);
  boost::asio::awaitable<void> close_idle();

  boost::asio::any_io_executor executor_;
  Options options_;
  Hooks hooks_;
  // Of the namespace from which is dialled: which addresses are that one's own.
  std::optional<NetlinkSocket> routes_;
  std::optional<OwnDoor> own_door_;
  int dial_from_ = -1;  // the switch with Uplink::kSwitch, else -1: our own namespace
  std::list<Listener> listeners_;
  std::list<ConnectionPtr> connections_;
  std::map<std::string, std::size_t> per_sandbox_;
  std::size_t peeked_ = 0;  // bytes in all first flights
  std::unique_ptr<RelayBuffers> buffers_;
  base::LogBudget limit_lines_;  // of what a sandbox can cause at will
  base::LogBudget internal_lines_;
  base::TaskGroup tasks_;
};

}  // namespace netfilter::egress
