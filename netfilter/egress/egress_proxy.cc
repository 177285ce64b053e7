#include "netfilter/egress/egress_proxy.h"

#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "netfilter/egress/peek.h"

namespace netfilter::egress {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // after EMFILE and its kin

// Where the connection was going before the switch sent it here.
base::Result<sockaddr_in> original_destination(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockopt(socket, SOL_IP, SO_ORIGINAL_DST, &address, &size) != 0) {
    return base::fail_errno("SO_ORIGINAL_DST");
  }
  return address;
}

constexpr char kTlsHandshake = 0x16;
constexpr std::size_t kScarcePeek = 4U << 10U;
// Of several addresses, one that does not answer must not use up the time of the others.
constexpr auto kNextAddressAfter = std::chrono::seconds(2);

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
      buffers_(std::make_unique<RelayBuffers>()),
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
  base::use_local_congestion_control(socket.get());
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
  flow.own_door = is_own_door(flow);
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
  auto connection = std::make_shared<Connection>(std::move(client));
  connection->flow = std::move(*flow);
  base::ScopeExit end([&] { report_end(*connection); });
  auto mine = per_sandbox_.find(id);
  if (connections_.size() >= options_.connections ||
      (mine != per_sandbox_.end() && mine->second >= options_.connections_per_sandbox)) {
    if (auto skipped = limit_lines_.take())
      base::log::warn("egress.too_many_connections", {{"sandbox", id}, {"skipped", *skipped}});
    connection->decision = Decision{false, MatchType::kNone, "connection limit"};
    report_judged(*connection);
    co_return;
  }
  auto position = connections_.insert(connections_.end(), connection);
  ++per_sandbox_[id];
  base::ScopeExit leave([&] {
    connections_.erase(position);
    if (--per_sandbox_[id] == 0) per_sandbox_.erase(id);
  });
  co_await carry(connection);
}

void EgressProxy::report_judged(Connection& connection) {
  if (!hooks_.on_flow) return;
  FlowEvent event{connection.flow, *connection.decision, connection.mark};
  hooks_.on_flow(event);
  connection.reported = true;
}

void EgressProxy::report_end(const Connection& connection) {
  if (!hooks_.on_end || !connection.reported) return;
  FlowEnd end{connection.flow, connection.mark};
  end.dialled = connection.dialled;
  end.sent = connection.sent;
  end.received = connection.received;
  bool refused = connection.decision && !connection.decision->allowed;
  end.reason = refused ? CloseReason::kBlocked : connection.close_reason;
  hooks_.on_end(end);
}

asio::awaitable<void> EgressProxy::carry(ConnectionPtr connection) {
  Flow& flow = connection->flow;
  base::ScopeExit forget([&] { peeked_ -= connection->first_flight.size(); });
  auto policy = policy_of(flow.sandbox.id);
  if (policy && reads_name(*policy, flow)) {
    (void)co_await base::with_deadline(find_name(*connection), options_.peek_limit, "egress peek");
    policy = policy_of(flow.sandbox.id);  // it may have changed in the meantime
  }
  if (!policy || connection->is_cut) co_return;
  connection->is_changed = !flow.name.empty() && is_changed(flow);
  Decision& decision = connection->decision.emplace(judge(*policy, destination_of(flow)));
  bool dns = is_dns(flow.address, flow.port);
  auto targets =
      co_await targets_of(flow, connection->is_changed, hooks_.resolve, decision, nullptr);
  if (connection->is_cut) co_return;
  report_judged(*connection);
  if (!decision.allowed) co_return;
  tune(connection->client);
  if (dns) {
    co_await hooks_.serve_dns(*connection);
    co_return;
  }
  if (!co_await dial(*connection, std::move(targets))) {
    if (!connection->is_cut) connection->close_reason = CloseReason::kNotConnected;
    co_return;
  }
  tune(connection->upstream);
  if (connection->is_changed) {
    std::string first_flight = std::exchange(connection->first_flight, std::string());
    peeked_ -= first_flight.size();
    co_return co_await hooks_.carry_changed(*connection, std::move(first_flight));
  }
  if (!connection->first_flight.empty()) {
    auto bytes = asio::buffer(connection->first_flight);
    auto [error, count] = co_await asio::async_write(connection->upstream, bytes, base::kUse);
    if (error) co_return connection->cut(CloseReason::kReset);
    connection->sent += count;
    peeked_ -= std::exchange(connection->first_flight, std::string()).size();
  }
  co_await relay(*connection, *buffers_);
}

// Reads until the name is known or cannot be: the bytes stay in first_flight, whatever happens.
base::Task<> EgressProxy::find_name(Connection& connection) {
  TlsPeek tls;
  HttpPeek http;
  FlowClass& kind = connection.flow.kind;
  std::string& bytes = connection.first_flight;
  boost::system::error_code error;
  connection.client.non_blocking(true, error);
  for (;;) {
    std::size_t limit = peeked_ < options_.peek_budget ? kPeekLimit : kScarcePeek;
    if (bytes.size() >= limit) co_return base::Result<>();
    auto room = asio::buffer(buffers_->scratch.data(),
                             std::min(buffers_->scratch.size(), limit - bytes.size()));
    std::size_t count = connection.client.read_some(room, error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      auto [failed] = co_await connection.client.async_wait(tcp::socket::wait_read, base::kUse);
      if (failed) co_return base::fail(base::os_error("wait", failed.value()));
      continue;
    }
    if (error == asio::error::eof) co_return base::Result<>();
    if (error) {
      connection.cut(CloseReason::kReset);
      co_return base::Result<>();
    }
    bytes.append(buffers_->scratch.data(), count);
    peeked_ += count;
    connection.last_activity = std::chrono::steady_clock::now();
    // At our own door both come to one port.
    if (kind == FlowClass::kOther)
      kind = bytes.front() == kTlsHandshake ? FlowClass::kTls : FlowClass::kHttp;
    bool is_tls = kind == FlowClass::kTls;
    PeekState state = is_tls ? tls.advance(bytes) : http.advance(bytes);
    if (state == PeekState::kNeedMore) continue;
    connection.flow.name = is_tls ? tls.name() : http.name();
    co_return base::Result<>();
  }
}

base::Task<> EgressProxy::connect_to(Connection& connection, Ipv4 address) {
  bool own = own_door_ && address == own_door_->address;
  if (own && !own_door_->has(connection.flow.port))
    co_return base::fail(base::Errc::kUnavailable, "connect: no such port at our own door");
  if (dial_from_ >= 0 && !own) {
    SANDLOT_CO_TRY(auto socket, open_socket_in(dial_from_, AF_INET, SOCK_STREAM));
    boost::system::error_code failed;
    connection.upstream.assign(tcp::v4(), socket.get(), failed);
    if (failed) co_return base::fail(base::os_error("open upstream socket", failed.value()));
    (void)socket.release();
  }
  tcp::endpoint target(asio::ip::address_v4(address), connection.flow.port);
  if (own) target = tcp::endpoint(asio::ip::address_v4::loopback(), own_door_->listens_on);
  auto [error] = co_await connection.upstream.async_connect(target, base::kUse);
  if (error) co_return base::fail(base::os_error("connect", error.value()));
  co_return base::Result<>();
}

asio::awaitable<bool> EgressProxy::dial(Connection& connection, std::vector<Ipv4> targets) {
  auto end = std::chrono::steady_clock::now() + options_.dial_limit;
  bool denied = false;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    // The policy may be another one than when the name was looked up.
    auto policy = policy_of(connection.flow.sandbox.id);
    if (!policy || !lets_through(*policy, connection, targets[i])) {
      denied = true;
      continue;
    }
    auto limit = end - std::chrono::steady_clock::now();
    if (i + 1 < targets.size()) limit = std::min<decltype(limit)>(limit, kNextAddressAfter);
    connection.dialled = targets[i];
    auto connecting = connect_to(connection, targets[i]);
    auto dialled = co_await base::with_deadline(std::move(connecting), limit, "egress dial");
    if (dialled && !connection.is_cut) co_return true;
    connection.dialled.reset();
    if (connection.is_cut) co_return false;
    base::log::debug("egress.dial_failed", {{"sandbox", connection.flow.sandbox.id},
                                            {"target", to_string(targets[i]) + ":" +
                                                           std::to_string(connection.flow.port)},
                                            {"error", dialled.error().message()}});
    boost::system::error_code ignored;
    connection.upstream.close(ignored);
  }
  if (denied) connection.cut(CloseReason::kPolicyChanged);
  co_return false;
}

void EgressProxy::policy_changed(const std::string& sandbox_id) {
  auto policy = policy_of(sandbox_id);
  if (!policy) return cut_all(sandbox_id);
  for (const ConnectionPtr& connection : connections_) {
    // Those that wait for their name are judged by the new policy anyway.
    if (connection->flow.sandbox.id != sandbox_id || !connection->decision) continue;
    Ipv4 leads_to = connection->dialled.value_or(connection->flow.address);
    if (!lets_through(*policy, *connection, leads_to)) connection->cut(CloseReason::kPolicyChanged);
  }
}

bool EgressProxy::lets_through(const Policy& policy,
                               const Connection& connection,
                               const Ipv4& address) {
  Destination there = destination_of(connection.flow);
  there.address = address;
  bool leads_to_name = connection.decision->by_name() || connection.is_changed;
  if (!leads_to_name) there.name.clear();
  return decide(policy, there).allowed;
}

void EgressProxy::cut_all(const std::string& sandbox_id) {
  for (const ConnectionPtr& connection : connections_) {
    if (connection->flow.sandbox.id == sandbox_id) connection->cut(CloseReason::kSandboxStopped);
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
      if (connection->last_activity < oldest) connection->cut(CloseReason::kIdle);
    }
  }
}

asio::awaitable<void> EgressProxy::stop() {
  boost::system::error_code ignored;
  for (Listener& listener : listeners_) listener.acceptor.close(ignored);
  for (const ConnectionPtr& connection : connections_)
    connection->cut(CloseReason::kSandboxStopped);
  tasks_.cancel();
  co_await tasks_.join();
  listeners_.clear();
}

}  // namespace netfilter::egress
