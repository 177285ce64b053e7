#include "emulator/fakenet/fake_internet.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "emulator/base/async.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/scope_exit.h"
#include "emulator/dns/records.h"
#include "emulator/fakenet/services.h"
#include "emulator/fakenet/streams.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"
#include "netfilter/uplink.h"

namespace emulator::fakenet {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using base::Result;

namespace {

constexpr std::size_t kMaxTasks = 20'000;  // connections and datagrams at once
constexpr std::size_t kMaxDatagram = 65535;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

// A fresh namespace may inherit what the machine's own has: what matters is said.
Result<> set_sysctls() {
  constexpr std::array<std::pair<const char*, const char*>, 7> kSettings = {{
      {"ipv6/conf/all/disable_ipv6", "1"},
      {"ipv6/conf/default/disable_ipv6", "1"},
      {"ipv4/ip_forward", "0"},
      {"ipv4/ip_nonlocal_bind", "1"},  // the addresses are on no link
      {"ipv4/icmp_echo_ignore_all", "0"},
      {"ipv4/icmp_ratelimit", "0"},  // a closed UDP port says so every time
      {"ipv4/conf/all/rp_filter", "0"},
  }};
  SANDLOT_TRY(auto sysctls, netfilter::NetSysctls::open());
  for (const auto& [name, value] : kSettings) SANDLOT_CHECK(sysctls.set(name, value));
  return {};
}

Result<> set_routes() {
  SANDLOT_TRY(auto netlink, netfilter::NetlinkSocket::open());
  netfilter::NetlinkBatch batch;
  batch.set_link_up(netfilter::kLoopbackIndex);
  batch.add_local_default(netfilter::kLoopbackIndex);
  return netlink.commit(batch);
}

}  // namespace

FakeInternet::FakeInternet(asio::any_io_executor executor,
                           Hosts hosts,
                           std::unique_ptr<Authority> authority)
    : executor_(executor),
      hosts_(std::move(hosts)),
      authority_(std::move(authority)),
      scratch_(kMaxDatagram),
      tasks_(executor) {}

FakeInternet::~FakeInternet() {
  if (!mount_.empty()) netfilter::unpin_namespace(mount_);
}

Result<std::unique_ptr<FakeInternet>> FakeInternet::create(
    asio::any_io_executor executor,
    const std::filesystem::path& run_dir,
    const netfilter::SwitchNamespace& network,
    Hosts hosts,
    std::unique_ptr<Authority> authority) {
  std::unique_ptr<FakeInternet> internet(
      new FakeInternet(std::move(executor), std::move(hosts), std::move(authority)));
  SANDLOT_CHECK(internet->make_namespace(run_dir / "internet.netns"));
  SANDLOT_TRY(internet->link_index_, netfilter::connect_uplink(network, internet->netns_.get()));
  SANDLOT_CHECK(internet->open_sockets());
  SANDLOT_CHECK(internet->begin_to_serve());
  return internet;
}

Result<> FakeInternet::make_namespace(const std::filesystem::path& mount) {
  mount_ = mount;
  auto made = netfilter::run_on_thread([this]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("make a network namespace");
    SANDLOT_TRY(netns_, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    SANDLOT_CHECK(set_sysctls());
    SANDLOT_CHECK(set_routes());
    return netfilter::pin_namespace(mount_);
  });
  if (!made) return base::fail(std::move(made).error().context("fake internet"));
  return {};
}

Result<FakeInternet::OpenPort> FakeInternet::open_port(const Host& host,
                                                       const Ipv4& address,
                                                       std::uint8_t protocol,
                                                       std::uint16_t port,
                                                       const Service& service) const {
  int type = protocol == kTcp ? SOCK_STREAM : SOCK_DGRAM;
  OpenPort opened{base::UniqueFd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), &host,
                  FarEnd{protocol, address, port}, &service};
  if (!opened.socket) return base::fail_errno("open a socket");
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  std::memcpy(&where.sin_addr, address.data(), address.size());
  int fd = opened.socket.get();
  bool good = ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 &&
              (protocol == kUdp || ::listen(fd, SOMAXCONN) == 0);
  if (!good)
    return base::fail_errno("listen on " + netfilter::to_string(address) + ":" +
                            std::to_string(port));
  return opened;
}

Result<> FakeInternet::open_sockets() {
  auto opened = netfilter::run_in_netns(netns_.get(), [this]() -> Result<> {
    SANDLOT_TRY(packet_socket_, open_packet_socket(link_index_));
    for (const Host& host : hosts_.all()) {
      for (const Ipv4& address : host.addresses) {
        for (const auto& [port, service] : host.tcp) {
          SANDLOT_TRY(auto one, open_port(host, address, kTcp, port, service));
          opened_.push_back(std::move(one));
        }
        for (const auto& [port, service] : host.udp) {
          SANDLOT_TRY(auto one, open_port(host, address, kUdp, port, service));
          opened_.push_back(std::move(one));
        }
      }
    }
    return {};
  });
  if (!opened) return base::fail(std::move(opened).error().context("fake internet"));
  return {};
}

Result<> FakeInternet::begin_to_serve() {
  boost::system::error_code error;
  for (OpenPort& port : opened_) {
    if (port.here.protocol == kTcp) {
      tcp::acceptor acceptor(executor_);
      acceptor.assign(tcp::v4(), port.socket.get(), error);
      if (error) return base::fail(base::os_error("fake internet: serve", error.value()));
      tcp_.push_back({std::move(acceptor), *port.host, port.here, *port.service});
    } else {
      udp::socket socket(executor_);
      socket.assign(udp::v4(), port.socket.get(), error);
      if (error) return base::fail(base::os_error("fake internet: serve", error.value()));
      udp_.push_back({std::move(socket), port.here, *port.service});
    }
    (void)port.socket.release();
  }
  opened_.clear();
  watch_.emplace(executor_, std::move(packet_socket_), canary_);
  tasks_.spawn("fake internet watch", watch_->run());
  for (TcpPort& port : tcp_) tasks_.spawn("fake internet accept", accept_from(port));
  for (UdpPort& port : udp_) tasks_.spawn("fake internet receive", receive_from(port));
  return {};
}

Result<const proxy::TlsContext*> FakeInternet::tls_of(const Host& host) {
  auto& context = tls_[&host];
  if (!context) {
    auto source = [this, &host](std::string_view name) {
      return authority_->leaf(hosts_, host, name);
    };
    SANDLOT_TRY(context, proxy::TlsContext::create(source));
  }
  return context.get();
}

asio::awaitable<void> FakeInternet::accept_from(TcpPort& port) {
  while (port.acceptor.is_open()) {
    auto [error, client] = co_await port.acceptor.async_accept(base::kUse);
    if (error == asio::error::operation_aborted) co_return;
    if (error || tasks_.size() >= kMaxTasks) {
      base::log::warn("fakenet.accept_failed",
                      {{"error", error ? error.message() : "too many connections"}});
      co_await base::sleep_for(kAcceptPause);
      continue;
    }
    watch_->drain();  // the SYN comes before what follows from it
    tasks_.spawn("fake internet connection", serve(std::move(client), port));
  }
}

asio::awaitable<void> FakeInternet::serve(tcp::socket client, TcpPort& port) {
  ++connections_;
  base::ScopeExit leave([this] { --connections_; });
  CountedStream stream(std::move(client), port.here, canary_);
  Place place{port.host, port.here, port.service};
  if (port.service.delay.count() > 0) co_await base::sleep_for(port.service.delay);
  switch (port.service.kind) {
    case ServiceKind::kHttp:
      co_await serve_web(stream, place, canary_);
      break;
    case ServiceKind::kHttps: {
      auto context = tls_of(port.host);
      if (!context) {
        base::log::error("fakenet.tls_failed", {{"error", context.error().message()}});
        co_return;
      }
      TlsStream secure(stream, **context);
      co_await serve_web(secure, place, canary_);
      break;
    }
    case ServiceKind::kDns:
      co_await serve_dns_stream(stream, place, hosts_, canary_);
      break;
    default:
      co_await serve_plain(stream, place);
  }
}

asio::awaitable<void> FakeInternet::receive_from(UdpPort& port) {
  for (;;) {
    auto [error] = co_await port.socket.async_wait(port.socket.wait_read, base::kUse);
    if (error || !port.socket.is_open()) co_return;
    watch_->drain();
    // No buffer of its own while it waits: there are hundreds of these.
    udp::endpoint client;
    auto size = static_cast<socklen_t>(client.capacity());
    auto count = ::recvfrom(port.socket.native_handle(), scratch_.data(), scratch_.size(),
                            MSG_DONTWAIT, client.data(), &size);
    // An ICMP error for an earlier answer is none for us.
    if (count < 0 || tasks_.size() >= kMaxTasks || port.service.kind == ServiceKind::kSilent)
      continue;
    client.resize(size);
    dns::Bytes datagram(scratch_.begin(), scratch_.begin() + count);
    tasks_.spawn("fake internet datagram", reply(port, std::move(datagram), client));
  }
}

asio::awaitable<void> FakeInternet::reply(UdpPort& port,
                                          dns::Bytes datagram,
                                          udp::endpoint client) {
  if (port.service.delay.count() > 0) co_await base::sleep_for(port.service.delay);
  if (port.service.kind == ServiceKind::kDns) {
    std::size_t limit = dns::udp_size(datagram);
    dns::Bytes answer = co_await answer_query(std::move(datagram), port.here, hosts_, canary_);
    datagram = std::move(answer);
    if (datagram.empty()) co_return;
    dns::fit(datagram, limit);
  }
  auto bytes = asio::buffer(datagram);
  co_await port.socket.async_send_to(bytes, client, base::kUse);
}

const Canary& FakeInternet::canary() {
  watch_->drain();
  return canary_;
}

void FakeInternet::clear_canary() {
  watch_->drain();
  canary_.clear();
}

asio::awaitable<void> FakeInternet::stop() {
  boost::system::error_code ignored;
  for (TcpPort& port : tcp_) port.acceptor.close(ignored);
  for (UdpPort& port : udp_) port.socket.close(ignored);
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace emulator::fakenet
