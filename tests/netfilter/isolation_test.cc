// What never leaves a slot. Every "never arrives" is paired with the same packet from elsewhere
// that does arrive, so that a dead canary cannot pass for a wall.
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

void expect_times_out(int netns, const std::string& address, std::uint16_t port) {
  auto connection = connect_from(netns, address, port, kSilence);
  EXPECT_FALSE(connection) << address << ":" << port << " was reached";
  EXPECT_EQ(errno, ETIMEDOUT) << address << ":" << port;
}

// Connects and reads the server's greeting: its canary has counted by then.
bool is_greeted(int netns, const std::string& address, std::uint16_t port) {
  auto connection = connect_from(netns, address, port);
  return connection && !read_once(connection->get()).empty();
}

std::uint16_t checksum(const void* data, std::size_t size) {
  std::uint32_t sum = 0;
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  for (std::size_t i = 0; i < size; i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8U) + (i + 1 < size ? bytes[i + 1] : 0U);
  }
  while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return htons(static_cast<std::uint16_t>(~sum));
}

// A UDP datagram to 8.8.8.8:53 with a source address of our choice.
void send_forged_query(int netns, const std::string& source) {
  base::UniqueFd socket = socket_in(netns, SOCK_RAW, IPPROTO_RAW);
  std::array<std::uint8_t, sizeof(iphdr) + sizeof(udphdr) + 4> packet{};
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(static_cast<std::uint16_t>(packet.size()));
  ip.saddr = address_of(source, 0).sin_addr.s_addr;
  ip.daddr = address_of("8.8.8.8", 0).sin_addr.s_addr;
  ip.check = checksum(&ip, sizeof ip);
  udphdr udp{};
  udp.source = htons(40000);
  udp.dest = htons(53);
  udp.len = htons(sizeof udp + 4);
  std::memcpy(packet.data(), &ip, sizeof ip);
  std::memcpy(packet.data() + sizeof ip, &udp, sizeof udp);
  sockaddr_in target = address_of("8.8.8.8", 53);
  EXPECT_GT(::sendto(socket.get(), packet.data(), packet.size(), 0,
                     reinterpret_cast<sockaddr*>(&target), sizeof target),
            0);
}

bool pings(int netns, const std::string& address, milliseconds patience) {
  base::UniqueFd socket = socket_in(netns, SOCK_RAW, IPPROTO_ICMP);
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  echo.un.echo.id = htons(77);
  echo.checksum = checksum(&echo, sizeof echo);
  sockaddr_in target = address_of(address, 0);
  ::sendto(socket.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&target),
           sizeof target);
  pollfd wait{socket.get(), POLLIN, 0};
  while (::poll(&wait, 1, static_cast<int>(patience.count())) > 0) {
    std::array<std::uint8_t, 1500> packet{};
    if (::recv(socket.get(), packet.data(), packet.size(), 0) < 28) continue;
    if (packet[20] == ICMP_ECHOREPLY) return true;
  }
  return false;
}

TEST(Isolation, PrivateRangesAreSilentEvenWhereSomethingAnswers) {
  World world;
  TcpServer canary(world.internet.get(), kPrivateServer, 80, greet("private"));
  ASSERT_TRUE(is_greeted(world.machine.get(), kPrivateServer, 80)) << "the canary must be alive";
  int before = canary.accepted();
  expect_times_out(world.a.netns.get(), kPrivateServer, 80);
  EXPECT_EQ(canary.accepted(), before);
}

TEST(Isolation, EveryDeniedRangeTimesOut) {
  World world;
  // A listener that would take what the rules let through.
  TcpServer proxy(world.network->fd(), kGateway, world.network->ports().other, greet("proxy"));
  ASSERT_TRUE(is_greeted(world.a.netns.get(), kWebServer, 8080))
      << "the way to the proxy must be open";
  int before = proxy.accepted();
  for (const char* address :
       {"10.1.2.3", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"}) {
    expect_times_out(world.a.netns.get(), address, 8080);
  }
  EXPECT_EQ(proxy.accepted(), before);
}

TEST(Isolation, TheGatewayHasNoPortThatASandboxCanName) {
  World world;
  TcpServer other(world.network->fd(), kGateway, 9999, greet("other"));
  TcpServer proxy(world.network->fd(), kGateway, world.network->ports().other, greet("proxy"));
  ASSERT_TRUE(is_greeted(world.network->fd(), kGateway, 9999));
  ASSERT_TRUE(is_greeted(world.network->fd(), kGateway, world.network->ports().other));
  expect_times_out(world.a.netns.get(), kGateway, 9999);
  expect_times_out(world.a.netns.get(), kGateway, world.network->ports().other);
  UdpCanary canary(world.network->fd(), kGateway, 9999);
  send_datagram(world.a.netns.get(), kGateway, 9999, "hello");
  EXPECT_FALSE(canary.hears(kSilence));
  send_datagram(world.network->fd(), kGateway, 9999, "hello");
  EXPECT_TRUE(canary.hears(kPatience));
}

TEST(Isolation, OneSandboxCannotReachAnother) {
  World world;
  TcpServer server(world.b.netns.get(), world.b.address, 8000, greet("b"));
  UdpCanary canary(world.b.netns.get(), world.b.address, 8001);
  ASSERT_TRUE(is_greeted(world.b.netns.get(), world.b.address, 8000));
  int before = server.accepted();
  expect_times_out(world.a.netns.get(), world.b.address, 8000);
  EXPECT_EQ(server.accepted(), before);
  send_datagram(world.a.netns.get(), world.b.address, 8001, "hello");
  EXPECT_FALSE(canary.hears(kSilence));
  send_datagram(world.b.netns.get(), world.b.address, 8001, "hello");
  EXPECT_TRUE(canary.hears(kPatience));
  EXPECT_FALSE(pings(world.a.netns.get(), world.b.address, kSilence));
  EXPECT_TRUE(pings(world.b.netns.get(), world.b.address, kPatience));
}

TEST(Isolation, UdpAndIcmpToTheInternetAreDropped) {
  World world;
  UdpCanary canary(world.internet.get(), kWebServer, 7777);
  send_datagram(world.a.netns.get(), kWebServer, 7777, "hello");
  EXPECT_FALSE(canary.hears(kSilence));
  send_datagram(world.machine.get(), kWebServer, 7777, "hello");
  EXPECT_TRUE(canary.hears(kPatience));
  EXPECT_FALSE(pings(world.a.netns.get(), kWebServer, kSilence));
  EXPECT_TRUE(pings(world.machine.get(), kWebServer, kPatience));
}

TEST(Isolation, DnsGoesToTheForwarderOnlyWhenItIsSentTo8888) {
  World world;
  UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
  send_datagram(world.a.netns.get(), "1.1.1.1", 53, "query");
  EXPECT_FALSE(forwarder.hears(kSilence));
  send_datagram(world.a.netns.get(), kDnsServer, 53, "query");
  EXPECT_TRUE(forwarder.hears(kPatience));
}

TEST(Isolation, AForgedSourceAddressIsDropped) {
  World world;
  UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
  send_forged_query(world.a.netns.get(), world.a.address);
  EXPECT_TRUE(forwarder.hears(kPatience)) << "the honest packet must arrive";
  for (const char* source :
       {"10.71.0.2", "10.71.9.9", "93.184.216.34", "169.254.1.1", "127.0.0.1", "203.0.113.2"}) {
    send_forged_query(world.a.netns.get(), source);
    EXPECT_FALSE(forwarder.hears(std::chrono::milliseconds(100))) << source;
  }
}

TEST(Isolation, Ipv6IsUnreachableAtOnce) {
  World world;
  int error_number = 0;
  auto tried = run_in_netns(world.a.netns.get(), [&]() -> base::Result<> {
    base::UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 target{};
    target.sin6_family = AF_INET6;
    target.sin6_addr.s6_addr[0] = 0x20;
    target.sin6_addr.s6_addr[1] = 0x01;
    target.sin6_port = htons(443);
    error_number = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) == 0
                       ? 0
                       : errno;
    return {};
  });
  ASSERT_TRUE(tried);
  EXPECT_TRUE(error_number == ENETUNREACH || error_number == EADDRNOTAVAIL) << error_number;
}

}  // namespace
}  // namespace netfilter::tests
