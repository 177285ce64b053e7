#include "netfilter/egress/egress_proxy.h"

#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"
#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"

namespace netfilter::egress {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr Ipv4 kDnsAddress = {8, 8, 8, 8};
constexpr std::uint16_t kDnsPort = 53;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // after EMFILE and its kin

bool is_dns(const Flow& flow) {
  return flow.address == kDnsAddress && flow.port == kDnsPort;
}

// Where the connection was going before the switch sent it here.
base::Result<sockaddr_in> original_destination(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockopt(socket, SOL_IP, SO_ORIGINAL_DST, &address, &size) != 0) {
    return base::fail_errno("SO_ORIGINAL_DST");
  }
  return address;
}

// `netns` is where the socket is opened; -1: here.
base::Task<> dial(Connection& connection, int netns) {
  if (netns >= 0) {
    SANDLOT_CO_TRY(auto socket, open_socket_in(netns, AF_INET, SOCK_STREAM));
    boost::system::error_code failed;
    connection.upstream.assign(tcp::v4(), socket.get(), failed);
    if (failed) co_return base::fail(base::os_error("open upstream socket", failed.value()));
    (void)socket.release();
  }
  tcp::endpoint target(asio::ip::address_v4(connection.flow.address), connection.flow.port);
  auto [error] = co_await connection.upstream.async_connect(target, base::kUse);
  if (error) co_return base::fail(base::os_error("connect", error.value()));
  co_return base::Result<>();
}

// Neither side waits for more bytes to fill a packet; a peer that vanished is noticed.
void tune(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  int idle = 60;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
}

}  // namespace

EgressProxy::EgressProxy(asio::any_io_executor executor, Options options, Hooks hooks)
    : executor_(std::move(executor)),
      options_(options),
      hooks_(std::move(hooks)),
      scratch_(std::make_unique<Scratch>()),
      tasks_(executor_) {}

EgressProxy::~EgressProxy() = default;

base::Result<> EgressProxy::start(const SwitchNamespace& network) {
  if (options_.uplink == Uplink::kSwitch) dial_from_ = network.fd();
  auto open_routes = [this]() -> base::Result<> {
    SANDLOT_TRY(auto routes, NetlinkSocket::open());
    routes_.emplace(std::move(routes));
    return {};
  };
  SANDLOT_CHECK(dial_from_ < 0 ? open_routes() : run_in_netns(dial_from_, open_routes));
  SwitchPorts ports = network.ports();
  SANDLOT_CHECK(listen(network, ports.http, FlowClass::kHttp));
  SANDLOT_CHECK(listen(network, ports.tls, FlowClass::kTls));
  SANDLOT_CHECK(listen(network, ports.other, FlowClass::kOther));
  for (Listener& listener : listeners_) tasks_.spawn("egress accept", accept_from(listener));
  tasks_.spawn("egress idle", close_idle());
  return {};
}

base::Result<> EgressProxy::listen(const SwitchNamespace& network,
                                   std::uint16_t port,
                                   FlowClass kind) {
  SANDLOT_TRY(auto socket, open_socket_in(network.fd(), AF_INET, SOCK_STREAM));
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  tcp::endpoint address(asio::ip::make_address_v4(kGateway), port);
  if (::bind(socket.get(), address.data(), static_cast<socklen_t>(address.size())) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return base::fail_errno("egress proxy: listen on port " + std::to_string(port));
  }
  tcp::acceptor acceptor(executor_);
  boost::system::error_code error;
  acceptor.assign(tcp::v4(), socket.get(), error);
  if (error) return base::fail(base::os_error("egress proxy", error.value()));
  (void)socket.release();
  listeners_.push_back({std::move(acceptor), kind});
  return {};
}

asio::awaitable<void> EgressProxy::accept_from(Listener& listener) {
  while (listener.acceptor.is_open()) {
    auto [error, client] = co_await listener.acceptor.async_accept(base::kUse);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      base::log::warn("egress.accept_failed", {{"error", error.message()}});
      co_await base::sleep_for(kAcceptPause);
      continue;
    }
    tasks_.spawn("egress connection", serve(std::move(client), listener.kind));
  }
}

base::Result<Flow> EgressProxy::identify(tcp::socket& client, FlowClass kind) {
  boost::system::error_code error;
  auto peer = client.remote_endpoint(error);
  if (error) return base::fail(base::os_error("peer", error.value()));
  auto sandbox = hooks_.sandbox_of(peer.address().to_string());
  if (!sandbox)
    return base::fail(base::Errc::kNotFound, "no sandbox has " + peer.address().to_string());
  SANDLOT_TRY(sockaddr_in target, original_destination(client.native_handle()));
  Flow flow;
  flow.sandbox = std::move(*sandbox);
  flow.kind = kind;
  std::memcpy(flow.address.data(), &target.sin_addr, flow.address.size());
  flow.port = ntohs(target.sin_port);
  SANDLOT_TRY(flow.machine_local, routes_->is_local(flow.address));
  return flow;
}

asio::awaitable<void> EgressProxy::serve(tcp::socket client, FlowClass kind) {
  auto flow = identify(client, kind);
  if (!flow) {
    base::log::debug("egress.unknown_peer", {{"error", flow.error().message()}});
    co_return;
  }
  std::string id = flow->sandbox.id;
  if (per_sandbox_[id] >= options_.connections_per_sandbox) {
    base::log::warn("egress.too_many_connections", {{"sandbox", id}});
    co_return;
  }
  auto connection = std::make_shared<Connection>(std::move(client));
  connection->flow = std::move(*flow);
  auto position = connections_.insert(connections_.end(), connection);
  ++per_sandbox_[id];
  base::ScopeExit leave([&] {
    connections_.erase(position);
    if (--per_sandbox_[id] == 0) per_sandbox_.erase(id);
  });
  co_await carry(connection);
}

asio::awaitable<void> EgressProxy::carry(ConnectionPtr connection) {
  const Flow& flow = connection->flow;
  Verdict verdict = decide(flow);
  bool dns = verdict.allowed && is_dns(flow) && hooks_.serve_dns != nullptr;
  if (verdict.allowed && !dns && options_.uplink == Uplink::kNone) verdict = {false, "no internet"};
  if (hooks_.on_flow) {
    FlowEvent event{flow, verdict};
    hooks_.on_flow(event);
  }
  if (!verdict.allowed) co_return;
  tune(connection->client);
  if (dns) {
    co_await hooks_.serve_dns(connection->client);
    co_return;
  }
  auto dialled = co_await base::with_deadline(dial(*connection, dial_from_), options_.dial_limit,
                                              "egress dial");
  if (!dialled) {
    base::log::debug("egress.dial_failed",
                     {{"sandbox", flow.sandbox.id},
                      {"target", to_string(flow.address) + ":" + std::to_string(flow.port)},
                      {"error", dialled.error().message()}});
    co_return;
  }
  tune(connection->upstream);
  co_await relay(*connection, *scratch_);
}

void EgressProxy::cut_all(const std::string& sandbox_id) {
  for (const ConnectionPtr& connection : connections_) {
    if (connection->flow.sandbox.id == sandbox_id) connection->cut();
  }
}

asio::awaitable<void> EgressProxy::close_idle() {
  auto step = std::clamp<std::chrono::steady_clock::duration>(
      options_.idle_limit / 4, std::chrono::milliseconds(10), std::chrono::seconds(30));
  asio::steady_timer timer(executor_);
  for (;;) {
    timer.expires_after(step);
    auto [error] = co_await timer.async_wait(base::kUse);
    if (error) co_return;
    auto oldest = std::chrono::steady_clock::now() - options_.idle_limit;
    for (const ConnectionPtr& connection : connections_) {
      if (connection->last_activity < oldest) connection->cut();
    }
  }
}

asio::awaitable<void> EgressProxy::stop() {
  boost::system::error_code ignored;
  for (Listener& listener : listeners_) listener.acceptor.close(ignored);
  for (const ConnectionPtr& connection : connections_) connection->cut();
  tasks_.cancel();
  co_await tasks_.join();
  listeners_.clear();
}

}  // namespace netfilter::egress
