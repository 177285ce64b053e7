// From a slot through the switch and its uplink to the fake internet, with the real proxy and the
// real forwarder between them. The process itself is "the machine" of world.h.
#include "emulator/fakenet/fake_internet.h"

#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/stat.h>

#include <future>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "emulator/dns/forwarder.h"
#include "emulator/fakenet/host_file.h"
#include "netfilter/egress/egress_proxy.h"
#include "netfilter/netns.h"
#include "netfilter/uplink.h"
#include "tests/emulator/dns/fake_resolver.h"
#include "tests/emulator/dns/loop_thread.h"
#include "tests/netfilter/support/world.h"

namespace emulator::fakenet {
namespace {

namespace world = netfilter::tests;
using netfilter::egress::EgressProxy;

constexpr const char* kExample = "93.184.216.34";

class FakeInternetTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "fakenet-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    machine_before_ = machine();
    auto network = netfilter::SwitchNamespace::create(directory_, {}, true);
    ASSERT_TRUE(network) << network.error().message();
    network_ = std::move(*network);
    a_ = std::move(*netfilter::make_slot(*network_, 1, 1));
    b_ = std::move(*netfilter::make_slot(*network_, 2, 2));
    auto hosts = load_hosts("");
    auto authority = Authority::open(directory_ / "ca");
    ASSERT_TRUE(hosts && authority);
    auto made = FakeInternet::create(loop_.context.get_executor(), directory_, *network_,
                                     std::move(*hosts), std::move(*authority));
    ASSERT_TRUE(made) << made.error().message();
    internet_ = std::move(*made);
    start_proxy();
    loop_.run();
  }

  void start_proxy() {
    dns::Forwarder::Options forwarding;
    forwarding.open_socket = [this](int family, int type) {
      return netfilter::open_socket_in(network_->fd(), family, type);
    };
    forwarder_ = std::make_unique<dns::Forwarder>(
        loop_.context.get_executor(), [] { return dns::parse_resolv_conf("nameserver 8.8.8.8\n"); },
        forwarding);
    ASSERT_TRUE(forwarder_->start(*network_));
    EgressProxy::Options options;
    options.uplink = netfilter::egress::Uplink::kSwitch;
    EgressProxy::Hooks hooks;
    hooks.sandbox_of = [](const std::string& address) {
      return netfilter::egress::SandboxRef{address};
    };
    hooks.serve_dns = [this](netfilter::egress::Connection& connection) {
      return forwarder_->serve_stream(connection.client, {connection.sent, connection.received});
    };
    proxy_ = std::make_unique<EgressProxy>(loop_.context.get_executor(), options, std::move(hooks));
    ASSERT_TRUE(proxy_->start(*network_));
  }

  void TearDown() override {
    if (internet_) {
      auto stop = [](auto& part) { return part.stop(); };
      boost::asio::co_spawn(loop_.context, stop(*proxy_), boost::asio::use_future).get();
      boost::asio::co_spawn(loop_.context, stop(*forwarder_), boost::asio::use_future).get();
      loop_.stop(*internet_);
    }
    proxy_.reset();
    forwarder_.reset();
    internet_.reset();
    network_.reset();
    EXPECT_FALSE(std::filesystem::exists(directory_ / "internet.netns"));
    EXPECT_EQ(machine(), machine_before_) << "the machine's own namespace was changed";
    std::filesystem::remove_all(directory_);
  }

  // Everything that could have been changed in the namespace of this process.
  static std::string machine() {
    std::string text;
    for (const std::vector<std::string>& argv : std::vector<std::vector<std::string>>{
             {"ip", "address"}, {"ip", "route", "show", "table", "all"}, {"iptables-save"}}) {
      base::ToolSpec spec;
      spec.argv = argv;
      auto output = base::run_tool(spec);
      // Comments of iptables-save carry the time.
      if (output && argv[0] == "ip") text += output->out;
      if (output && argv[0] == "iptables-save") text += std::to_string(output->out.find("-A "));
    }
    return text + base::read_file("/proc/sys/net/ipv4/ip_forward").value_or("");
  }

  Counter count(std::uint8_t protocol, const std::string& address, std::uint16_t port) {
    std::promise<Counter> counted;
    boost::asio::post(loop_.context, [&] {
      const auto& counters = internet_->canary().counters();
      auto found = counters.find(FarEnd{protocol, *netfilter::parse_ipv4(address), port});
      counted.set_value(found == counters.end() ? Counter() : found->second);
    });
    return counted.get_future().get();
  }

  // Sends a datagram and waits for one back.
  static std::string exchange(int netns, const std::string& address, std::uint16_t port) {
    base::UniqueFd socket = world::socket_in(netns, SOCK_DGRAM);
    sockaddr_in target = world::address_of(address, port);
    ::sendto(socket.get(), "hello", 5, 0, reinterpret_cast<sockaddr*>(&target), sizeof target);
    std::array<char, 100> buffer{};
    auto size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    return std::string(buffer.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  }

  std::filesystem::path directory_;
  std::string machine_before_;
  dns::LoopThread loop_;
  std::unique_ptr<netfilter::SwitchNamespace> network_;
  netfilter::Slot a_;
  netfilter::Slot b_;
  std::unique_ptr<FakeInternet> internet_;
  std::unique_ptr<dns::Forwarder> forwarder_;
  std::unique_ptr<EgressProxy> proxy_;
};

TEST_F(FakeInternetTest, TcpArrivesThroughTheProxy) {
  auto ssh = world::connect_from(a_.netns.get(), kExample, 22);
  ASSERT_TRUE(ssh);
  EXPECT_EQ(world::read_once(ssh->get()), "SSH-2.0-fake\r\n");
  auto echo = world::connect_from(a_.netns.get(), kExample, 9000);
  ASSERT_TRUE(echo);
  world::send_text(echo->get(), "hello");
  ::shutdown(echo->get(), SHUT_WR);
  EXPECT_EQ(world::read_to_end(echo->get()), "helloafter-half-close");
  Counter counted = count(kTcp, kExample, 9000);
  EXPECT_EQ(counted.packets, 1U);
  EXPECT_EQ(counted.accepts, 1U);
  EXPECT_EQ(counted.bytes, 5U);
}

TEST_F(FakeInternetTest, WebServersSayWhichAddressWasDialled) {
  auto web = world::connect_from(a_.netns.get(), "9.9.9.9", 80);
  ASSERT_TRUE(web);
  world::send_text(web->get(), "GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n");
  EXPECT_NE(
      world::read_to_end(web->get()).find("server-ip=9.9.9.9 port=80 scheme=http host=x.test"),
      std::string::npos);
}

TEST_F(FakeInternetTest, ASynToAClosedPortIsSeen) {
  auto connection = world::connect_from(a_.netns.get(), kExample, 81);
  ASSERT_TRUE(connection) << "the proxy accepts first";
  EXPECT_EQ(world::read_to_end(connection->get()), "");
  Counter counted = count(kTcp, kExample, 81);
  EXPECT_EQ(counted.packets, 1U);
  EXPECT_EQ(counted.accepts, 0U);
  // An address that nobody listed is a host with closed ports.
  auto stranger = world::connect_from(a_.netns.get(), "9.9.9.8", 443);
  ASSERT_TRUE(stranger);
  world::read_to_end(stranger->get());
  EXPECT_EQ(count(kTcp, "9.9.9.8", 443).packets, 1U);
}

TEST_F(FakeInternetTest, UdpAndIcmpArriveAndAreAnswered) {
  EXPECT_EQ(exchange(a_.netns.get(), kExample, 7777), "hello");
  EXPECT_EQ(count(kUdp, kExample, 7777).packets, 1U);
  EXPECT_EQ(count(kUdp, kExample, 7777).bytes, 5U);
  world::send_datagram(a_.netns.get(), kExample, 7000, "nobody");
  base::UniqueFd ping = world::socket_in(a_.netns.get(), SOCK_DGRAM, IPPROTO_ICMP);
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  sockaddr_in target = world::address_of("1.1.1.1", 0);
  ::sendto(ping.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&target), sizeof target);
  std::array<char, 100> buffer{};
  EXPECT_GT(::recv(ping.get(), buffer.data(), buffer.size(), 0), 0);
  EXPECT_EQ(count(kIcmp, "1.1.1.1", 0).packets, 1U);
  EXPECT_EQ(count(kUdp, kExample, 7000).packets, 1U) << "a closed port";
}

// On the real link: larger than what is read of a packet, and larger than the link carries at once.
TEST_F(FakeInternetTest, LargeDatagramsAreCountedWithAllTheirBytes) {
  std::uint64_t sum = 0;
  for (std::size_t size : {229U, 1000U, 1400U, 2000U, 60000U}) {
    world::send_datagram(a_.netns.get(), kExample, 7000, std::string(size, 'x'));
    sum += size;
    Counter counted;
    for (int i = 0; i < 500 && counted.bytes < sum; ++i) {
      std::this_thread::sleep_for(milliseconds(10));
      counted = count(kUdp, kExample, 7000);
    }
    EXPECT_EQ(counted.bytes, sum) << size;
  }
  EXPECT_EQ(count(kUdp, kExample, 7000).packets, 5U);
  EXPECT_EQ(count(kUdp, kExample, 0).packets, 0U) << "fragments are no packets of their own";
}

TEST_F(FakeInternetTest, NamesAreAnsweredByTheResolverOfTheFakeInternet) {
  dns::Bytes query = dns::make_query("example.com", dns::kTypeA);
  base::UniqueFd client = world::socket_in(a_.netns.get(), SOCK_DGRAM);
  dns::Bytes reply = dns::exchange_udp(client.get(), world::address_of("8.8.8.8", 53), query);
  EXPECT_EQ(dns::tail_of(reply, 4), (dns::Bytes{93, 184, 216, 34}));
  auto stream = world::connect_from(a_.netns.get(), "8.8.8.8", 53);
  ASSERT_TRUE(stream);
  EXPECT_EQ(
      dns::exchange_tcp(stream->get(), dns::make_query("mixed.rebind.test", dns::kTypeA)).at(7), 2);
  dns::Bytes missing = dns::exchange_udp(client.get(), world::address_of("8.8.8.8", 53),
                                         dns::make_query("nobody.test", dns::kTypeA, 7));
  EXPECT_EQ(dns::rcode_of(missing), static_cast<int>(dns::Rcode::kNoSuchName));
  EXPECT_EQ(count(kUdp, "8.8.8.8", 53).packets, 2U);
  EXPECT_EQ(count(kTcp, "8.8.8.8", 53).accepts, 1U);
  // Another resolver of the internet, as an ordinary datagram.
  EXPECT_EQ(
      dns::tail_of(dns::exchange_udp(client.get(), world::address_of("1.1.1.1", 53), query), 4),
      (dns::Bytes{93, 184, 216, 34}));
}

TEST_F(FakeInternetTest, PrivateAddressesAnswerThereAndAreStillOutOfReach) {
  ASSERT_EQ(exchange(network_->fd(), "10.200.0.1", 7777), "hello") << "the server must be alive";
  Counter before = count(kUdp, "10.200.0.1", 7777);
  world::send_datagram(a_.netns.get(), "10.200.0.1", 7777, "hello");
  EXPECT_FALSE(world::connect_from(a_.netns.get(), "10.200.0.1", 80, world::kSilence));
  EXPECT_FALSE(world::connect_from(a_.netns.get(), "169.254.169.254", 80, world::kSilence));
  EXPECT_EQ(count(kUdp, "10.200.0.1", 7777).packets, before.packets);
  EXPECT_EQ(count(kTcp, "10.200.0.1", 80).packets, 0U);
  EXPECT_EQ(count(kTcp, "169.254.169.254", 80).packets, 0U);
}

TEST_F(FakeInternetTest, ForwardingOpensNoWayToOtherSandboxesOrToTheSwitch) {
  world::UdpCanary other(b_.netns.get(), b_.address, 8001);
  world::send_datagram(a_.netns.get(), b_.address, 8001, "hello");
  EXPECT_FALSE(other.hears(world::kSilence));
  world::send_datagram(b_.netns.get(), b_.address, 8001, "hello");
  EXPECT_TRUE(other.hears(world::kPatience));
  std::string uplink = netfilter::to_string(netfilter::FarEnd().switch_address);
  world::UdpCanary port(network_->fd(), uplink, 8002);
  world::send_datagram(a_.netns.get(), uplink, 8002, "hello");
  EXPECT_FALSE(port.hears(world::kSilence));
  world::send_datagram(network_->fd(), uplink, 8002, "hello");
  EXPECT_TRUE(port.hears(world::kPatience));
  // And none back: what the internet sends unasked ends at the switch.
  base::UniqueFd intruder = world::socket_in(internet_->netns(), SOCK_DGRAM);
  world::UdpCanary slot(a_.netns.get(), a_.address, 8003);
  auto routed = netfilter::run_in_netns(internet_->netns(), [&]() -> base::Result<> {
    base::ToolSpec spec;
    spec.argv = {"ip", "route", "add", "10.71.0.0/16", "via", uplink};
    SANDLOT_TRY(auto output, base::run_tool(spec));
    EXPECT_EQ(output.exit_code, 0) << output.err;
    return {};
  });
  ASSERT_TRUE(routed);
  world::send_datagram(internet_->netns(), a_.address, 8003, "hello");
  EXPECT_FALSE(slot.hears(world::kSilence));
}

TEST_F(FakeInternetTest, TheInternetItselfSeesNoMachine) {
  // Its namespace has two links, both of its own.
  std::string devices;
  auto read = netfilter::run_in_netns(internet_->netns(), [&]() -> base::Result<> {
    SANDLOT_TRY(devices, base::read_file("/proc/thread-self/net/dev"));
    return {};
  });
  ASSERT_TRUE(read);
  EXPECT_EQ(std::count(devices.begin(), devices.end(), ':'), 2) << devices;
}

}  // namespace
}  // namespace emulator::fakenet
