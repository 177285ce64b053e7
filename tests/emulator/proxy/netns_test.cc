// Servers in a network namespace of their own, reached whatever they are bound to
// (contract-network 3.9).
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netfilter/network.h"
#include "tests/emulator/proxy/proxy_world.h"

namespace tests {
namespace {

constexpr const char* kEth0 = "10.71.0.9";

void set_address(int fd, const char* link, const char* address) {
  ifreq request{};
  std::strncpy(request.ifr_name, link, sizeof(request.ifr_name) - 1);
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  in->sin_family = AF_INET;
  inet_pton(AF_INET, address, &in->sin_addr);
  EXPECT_EQ(::ioctl(fd, SIOCSIFADDR, &request), 0) << std::strerror(errno);
}

// A namespace with lo up, and kEth0 as a second address. It ends with its last descriptor.
std::shared_ptr<const base::UniqueFd> make_netns() {
  base::UniqueFd netns;
  std::thread inside([&netns] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    base::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof(request.ifr_name) - 1);
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(fd.get(), SIOCSIFFLAGS, &request), 0);
    set_address(fd.get(), "lo:1", kEth0);
    netns.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  });
  inside.join();
  return std::make_shared<const base::UniqueFd>(std::move(netns));
}

// Answers one connection with its own bind address.
class BoundServer {
 public:
  BoundServer(int netns, const std::string& address) {
    bool v6 = address.find(':') != std::string::npos;
    auto socket = netfilter::open_socket_in(netns, v6 ? AF_INET6 : AF_INET, SOCK_STREAM);
    EXPECT_TRUE(socket.has_value());
    fd_ = std::move(*socket);
    ::fcntl(fd_.get(), F_SETFL, 0);
    sockaddr_storage storage{};
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    storage.ss_family = v6 ? AF_INET6 : AF_INET;
    if (v6) {
      inet_pton(AF_INET6, address.c_str(), &reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr);
    } else {
      inet_pton(AF_INET, address.c_str(), &reinterpret_cast<sockaddr_in*>(&storage)->sin_addr);
    }
    EXPECT_EQ(::bind(fd_.get(), raw, size), 0) << address << ": " << std::strerror(errno);
    EXPECT_EQ(::listen(fd_.get(), 8), 0);
    ::getsockname(fd_.get(), raw, &size);
    port_ = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                     : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
    thread_ = std::thread([this, address] {
      Peer peer{base::UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC))};
      if (peer.fd() < 0) return;
      peer.read_head();
      peer.send("HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(address.size()) +
                "\r\n\r\n" + address);
    });
  }
  ~BoundServer() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port() const { return port_; }

 private:
  base::UniqueFd fd_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(ProxyNetns, ReachesServersOnEveryKindOfAddress) {
  auto open = [](int netns, int family) {
    return netfilter::open_socket_in(netns, family, SOCK_STREAM);
  };
  World world({}, nullptr, open);
  world.add_sandbox("abc");
  auto netns = make_netns();
  world.set_netns("abc", netns, kEth0);
  for (std::string address : {"0.0.0.0", "::", "127.0.0.1", "::1", kEth0}) {
    BoundServer server(netns->get(), address);
    Peer client = world.client();
    client.send(get(server.port()));
    EXPECT_THAT(client.read_response(), testing::EndsWith("\r\n\r\n" + address)) << address;
  }
}

TEST(ProxyNetns, AServerOfTheMachineIsNotReachedThroughASandbox) {
  auto open = [](int netns, int family) {
    return netfilter::open_socket_in(netns, family, SOCK_STREAM);
  };
  emulator::proxy::FrontDoorOptions options;
  options.limits.dial_budget = std::chrono::milliseconds(100);
  World world(options, nullptr, open);
  world.add_sandbox("abc");
  world.set_netns("abc", make_netns(), kEth0);
  Server outside([](Peer& peer) { peer.read_head(); });
  Peer client = world.client();
  client.send(get(outside.port()));
  EXPECT_THAT(client.read_response(), testing::HasSubstr("port is not open"));
  EXPECT_EQ(outside.accepted(), 0);
}

}  // namespace
}  // namespace tests
