// What a slot offers its tenant, and what is left when everything is gone.
#include <arpa/inet.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "emulator/base/posix.h"
#include "netfilter/conntrack.h"
#include "netfilter/netns.h"
#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

// Runs `work` as an ordinary user in `netns`, on a thread that ends so: it could not go back.
// (glibc's wrappers would change every thread.)
base::Result<> as_user_in(int netns, unsigned id, const std::function<base::Result<>()>& work) {
  return run_on_thread([&]() -> base::Result<> {
    if (::setns(netns, CLONE_NEWNET) != 0 || ::syscall(SYS_setgroups, 0, nullptr) != 0 ||
        ::syscall(SYS_setresgid, id, id, id) != 0 || ::syscall(SYS_setresuid, id, id, id) != 0) {
      return base::fail_errno("become a user");
    }
    return work();
  });
}

std::string text_of(base::Result<> result) {
  return result ? "ok" : result.error().message();
}

std::string read_in(int netns, const std::string& path) {
  std::string text;
  auto read = run_in_netns(netns, [&]() -> base::Result<> {
    SANDLOT_TRY(text, base::read_file(path));
    return {};
  });
  return read ? text : read.error().message();
}

TEST(Slot, HasItsAddressAndItsIds) {
  World world;
  EXPECT_EQ(world.a.address, "10.71.0.1");
  EXPECT_EQ(world.a.first_id, (1U << 28U) + 65536U);
  auto far = make_slot(*world.network, 28671, 3);
  ASSERT_TRUE(far) << far.error().message();
  EXPECT_EQ(far->address, "10.71.111.255");
  EXPECT_EQ(far->first_id, 0x7fff0000U);
}

TEST(Slot, ThatCannotExistIsRefused) {
  World world;
  for (int index : {-1, 28672, 65536}) {
    auto slot = make_slot(*world.network, index, 9);
    ASSERT_FALSE(slot) << index;
    EXPECT_EQ(slot.error().code(), base::Errc::kInvalidArgument);
  }
}

TEST(Slot, WithASerialInUseFailsAndLeavesTheFirstAlone) {
  World world;
  auto again = make_slot(*world.network, 3, 1);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), base::Errc::kAlreadyExists) << again.error().message();
  auto counts = count_network(*world.network);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->links, 2U);
}

TEST(Slot, TakesOverTheAddressOfOneThatIsStillDying) {
  World world;
  // A socket keeps the old namespace, and its link in the switch, alive.
  base::UniqueFd holder = socket_in(world.a.netns.get(), SOCK_DGRAM);
  world.a.netns.reset();
  auto heir = make_slot(*world.network, 1, 3);
  ASSERT_TRUE(heir) << heir.error().message();
  UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
  send_datagram(heir->netns.get(), kDnsServer, 53, "query");
  EXPECT_TRUE(forwarder.hears(kPatience));
  sockaddr_in target = address_of(kDnsServer, 53);
  ::sendto(holder.get(), "query", 5, 0, reinterpret_cast<sockaddr*>(&target), sizeof target);
  EXPECT_FALSE(forwarder.hears(kSilence)) << "the old link must not speak for its heir";
}

// One flow to the nameserver that nobody has answered yet: what connection tracking remembers.
struct OpenFlow {
  OpenFlow(World& world, const Slot& from) : forwarder(socket_in(world.network->fd(), SOCK_DGRAM)) {
    sockaddr_in gateway = address_of(kGateway, world.network->ports().dns);
    EXPECT_EQ(::bind(forwarder.get(), reinterpret_cast<sockaddr*>(&gateway), sizeof gateway), 0);
    near = ask(from);
    pollfd wait{forwarder.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 2000), 1);
    socklen_t size = sizeof peer;
    char byte = 0;
    ::recvfrom(forwarder.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size);
  }
  // Always from the same port, as if by chance.
  static base::UniqueFd ask(const Slot& from, bool send = true) {
    base::UniqueFd socket = socket_in(from.netns.get(), SOCK_DGRAM);
    sockaddr_in own = address_of(from.address.c_str(), 40'000);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    sockaddr_in target = address_of(kDnsServer, 53);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
    if (send) {
      EXPECT_EQ(::send(socket.get(), "?", 1, 0), 1);
    }
    return socket;
  }
  bool answer_reaches(const base::UniqueFd& socket, milliseconds patience) {
    ::sendto(forwarder.get(), "!", 1, 0, reinterpret_cast<sockaddr*>(&peer), sizeof peer);
    pollfd wait{socket.get(), POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(patience.count())) == 1;
  }

  base::UniqueFd forwarder;
  base::UniqueFd near;
  sockaddr_in peer{};
};

TEST(Slot, AnOldFlowsAnswerNeverReachesTheHeirOfItsAddress) {
  World world;
  OpenFlow flow(world, world.a);
  flow.near.reset();
  world.a.netns.reset();
  auto heir = make_slot(*world.network, 1, 3, true);
  ASSERT_TRUE(heir) << heir.error().message();
  base::UniqueFd socket = OpenFlow::ask(*heir, false);
  EXPECT_FALSE(flow.answer_reaches(socket, kSilence));
}

TEST(Slot, ForgetsTheFlowsOfOneAddressOnly) {
  World world;
  OpenFlow flow(world, world.b);
  auto forget = [&](const Slot& slot) {
    std::size_t count = 0;
    auto done = run_in_netns(world.network->fd(), [&]() -> base::Result<> {
      SANDLOT_TRY(count, forget_flows_of(*parse_ipv4(slot.address)));
      return {};
    });
    EXPECT_TRUE(done) << done.error().message();
    return count;
  };
  EXPECT_EQ(forget(world.a), 0U);
  EXPECT_TRUE(flow.answer_reaches(flow.near, kPatience)) << "still alive";
  EXPECT_EQ(forget(world.b), 1U);
  EXPECT_EQ(forget(world.b), 0U);
}

TEST(Slot, LetsAnOrdinaryUserPingItself) {
  World world;
  auto pinged =
      as_user_in(world.a.netns.get(), (1U << 28U) + 65536U + 1000U, []() -> base::Result<> {
        base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
        if (!socket) return base::fail_errno("ICMP socket");
        icmphdr echo{};
        echo.type = ICMP_ECHO;
        sockaddr_in target = address_of("127.0.0.1", 0);
        if (::sendto(socket.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&target),
                     sizeof target) < 0) {
          return base::fail_errno("send");
        }
        pollfd wait{socket.get(), POLLIN, 0};
        if (::poll(&wait, 1, 2000) != 1)
          return base::fail(base::Errc::kDeadlineExceeded, "no reply");
        return {};
      });
  EXPECT_EQ(text_of(std::move(pinged)), "ok");
}

TEST(Slot, LetsAnOrdinaryUserListenOnPort80) {
  World world;
  auto bound = as_user_in(world.a.netns.get(), 1000, []() -> base::Result<> {
    base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in where = address_of("0.0.0.0", 80);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0)
      return base::fail_errno("bind");
    return {};
  });
  EXPECT_EQ(text_of(std::move(bound)), "ok");
}

TEST(Slot, HasIpv6OnItsLoopbackAndNowhereElse) {
  World world;
  std::string addresses = read_in(world.a.netns.get(), "/proc/thread-self/net/if_inet6");
  EXPECT_EQ(addresses.find("eth0"), std::string::npos) << addresses;
  EXPECT_NE(addresses.find("00000000000000000000000000000001"), std::string::npos) << addresses;
  auto listened = run_in_netns(world.a.netns.get(), []() -> base::Result<> {
    base::UniqueFd server(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 where{};
    where.sin6_family = AF_INET6;
    where.sin6_addr = in6addr_loopback;
    where.sin6_port = htons(3000);
    if (::bind(server.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 ||
        ::listen(server.get(), 1) != 0) {
      return base::fail_errno("listen on ::1");
    }
    base::UniqueFd client(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
      return base::fail_errno("connect to ::1");
    }
    return {};
  });
  EXPECT_EQ(text_of(std::move(listened)), "ok");
  EXPECT_EQ(read_in(world.network->fd(), "/proc/thread-self/net/if_inet6"), "");
}

TEST(Slot, KnowsItsGatewayWithoutAsking) {
  World world;
  std::string neighbours = read_in(world.a.netns.get(), "/proc/thread-self/net/arp");
  EXPECT_NE(neighbours.find("169.254.1.1      0x1         0x6"), std::string::npos)
      << neighbours;  // permanent
}

TEST(OpenSocketIn, MakesASocketThereAndLeavesTheThreadHere) {
  World world;
  auto before = std::filesystem::read_symlink("/proc/thread-self/ns/net");
  auto socket = open_socket_in(world.a.netns.get(), AF_INET, SOCK_STREAM);
  ASSERT_TRUE(socket) << socket.error().message();
  EXPECT_EQ(std::filesystem::read_symlink("/proc/thread-self/ns/net"), before);
  sockaddr_in own = address_of("10.71.0.1", 0);
  EXPECT_EQ(::bind(socket->get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
}

TEST(OpenSocketIn, ReportsADescriptorThatIsNoNamespace) {
  auto socket = open_socket_in(0, AF_INET, SOCK_STREAM);
  EXPECT_FALSE(socket);
}

TEST(SwitchNamespace, HasAConstantNumberOfRules) {
  World world;
  auto before = count_network(*world.network);
  ASSERT_TRUE(before) << before.error().message();
  EXPECT_GT(before->rules, 10U);
  std::vector<Slot> more;
  for (std::uint32_t n = 10; n < 30; ++n) {
    auto slot = make_slot(*world.network, static_cast<int>(n), n);
    ASSERT_TRUE(slot) << slot.error().message();
    more.push_back(std::move(*slot));
  }
  auto after = count_network(*world.network);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->links, before->links + 20);
  EXPECT_EQ(after->rules, before->rules);
}

TEST(SwitchNamespace, LeavesNoMountAndNoLink) {
  std::string directory;
  base::UniqueFd last;
  {
    World world;
    directory = world.directory;
    auto mounts = base::read_file("/proc/self/mountinfo");
    EXPECT_NE(mounts->find(directory + "/switch.netns"), std::string::npos);
  }
  auto mounts = base::read_file("/proc/self/mountinfo");
  EXPECT_EQ(mounts->find(directory), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST(SwitchNamespace, TakesThePlaceOfOneThatACrashLeft) {
  World world;
  auto second = SwitchNamespace::create(world.directory, {});
  ASSERT_TRUE(second) << second.error().message();
  auto mounts = base::read_file("/proc/self/mountinfo");
  std::size_t at = mounts->find(world.directory + "/switch.netns");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(mounts->find(world.directory + "/switch.netns", at + 1), std::string::npos);
}

TEST(SwitchNamespace, ThatCannotBeMadeLeavesNothing) {
  auto made = SwitchNamespace::create("/proc/no-such-folder", {});
  ASSERT_FALSE(made);
  auto mounts = base::read_file("/proc/self/mountinfo");
  EXPECT_EQ(mounts->find("no-such-folder"), std::string::npos);
}

TEST(SwitchNamespace, FallsBackToTheOtherIptables) {
  // Plain iptables-restore and the nft one fail here, as they do on a kernel without nftables.
  std::string pattern = (std::filesystem::temp_directory_path() / "sandlot-path-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  for (const char* name : {"iptables-restore", "iptables-nft-restore"}) {
    ASSERT_TRUE(base::write_file(pattern + "/" + name,
                                 "#!/bin/sh\necho 'no nftables here' >&2\nexit 3\n", 0755));
  }
  std::string path = ::getenv("PATH");
  ::setenv("PATH", (pattern + ":" + path).c_str(), 1);
  {
    World world;
    EXPECT_EQ(world.network->restore_tool(), "iptables-legacy-restore");
    auto counts = count_network(*world.network);
    EXPECT_TRUE(counts) << counts.error().message();
    EXPECT_EQ(counts->rules, 23U);
    UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
    send_datagram(world.a.netns.get(), "1.1.1.1", 53, "query");
    EXPECT_FALSE(forwarder.hears(kSilence));
    send_datagram(world.a.netns.get(), kDnsServer, 53, "query");
    EXPECT_TRUE(forwarder.hears(kPatience));
  }
  ::setenv("PATH", path.c_str(), 1);
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace netfilter::tests
