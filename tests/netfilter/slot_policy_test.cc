// The kernel half of a policy, with packets. What goes to 8.8.8.8:53 reaches the forwarder's port
// in the switch; for every other destination the switch's own rules are taken away and the switch
// plays the internet, so that only the slot's rules can stop a packet. The sender is the machine's
// root inside the slot: not a missing capability but the rules are tested. Each "never arrives"
// stands beside the same packet from the other sandbox, which does.
#include "netfilter/slot_policy.h"

#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "netfilter/netlink.h"
#include "tests/netfilter/support/world.h"

namespace netfilter::tests {
namespace {

using List = std::vector<std::string>;
constexpr std::uint16_t kPort = 7777;
constexpr const char* kPublic = "93.184.216.34";
constexpr const char* kOther = "1.1.1.1";

Policy policy_of(List allow, List deny, bool internet = true) {
  auto policy = Policy::compile({std::move(allow), std::move(deny), internet});
  EXPECT_TRUE(policy);
  return policy ? *policy : Policy::closed();
}

base::Result<> load_into(int netns, const std::string& tool, const std::string& rules) {
  return run_in_netns(netns, [&]() -> base::Result<> {
    base::ToolSpec spec;
    spec.argv = {tool};
    spec.stdin_text = rules;
    SANDLOT_TRY(auto output, base::run_tool(spec));
    if (output.exit_code != 0) return base::fail(base::Errc::kInternal, output.err);
    return {};
  });
}

struct PolicyWorld : World {
  PolicyWorld() : loader{network->slot_restore_tool(), directory} {}

  void apply(const Slot& slot, const Policy& policy) {
    auto applied = apply_slot_policy(slot.netns.get(), policy, loader);
    ASSERT_TRUE(applied) << applied.error().message();
  }
  // The switch answers for these addresses and lets everything in.
  void become_the_internet(std::initializer_list<const char*> addresses) {
    auto done = load_into(network->fd(), network->restore_tool(),
                          "*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
    ASSERT_TRUE(done) << done.error().message();
    for (const char* address : addresses) {
      done = run_in_netns(network->fd(), [&]() -> base::Result<> {
        SANDLOT_TRY(auto netlink, NetlinkSocket::open());
        NetlinkBatch batch;
        batch.add_address(kLoopbackIndex, *parse_ipv4(address), 32);
        return netlink.commit(batch);
      });
      ASSERT_TRUE(done) << done.error().message();
    }
  }
  std::size_t lock_files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (entry.path().filename().string().starts_with("xtables-")) ++count;
    }
    return count;
  }

  RuleLoader loader;
};

// One round trip of a fresh or of a given socket, answered by a thread-less echo.
class Echo {
 public:
  Echo(int netns, const char* address, std::uint16_t port) : socket_(socket_in(netns, SOCK_DGRAM)) {
    sockaddr_in where = address_of(address, port);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  }
  // Whether the datagram arrived here; `peer_` is then known.
  bool receives(milliseconds patience) {
    pollfd wait{socket_.get(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
    std::array<char, 64> buffer{};
    socklen_t size = sizeof peer_;
    return ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                      reinterpret_cast<sockaddr*>(&peer_), &size) > 0;
  }
  void answer() {
    ::sendto(socket_.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&peer_), sizeof peer_);
  }

 private:
  base::UniqueFd socket_;
  sockaddr_in peer_{};
};

bool waits_for_data(int socket, milliseconds patience) {
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 64> buffer{};
  return ::recv(socket, buffer.data(), buffer.size(), 0) > 0;
}

bool arrives(const Slot& from, const char* address, UdpCanary& canary, milliseconds patience) {
  send_datagram(from.netns.get(), address, kPort, "hello");
  return canary.hears(patience);
}

// A packet of the given protocol number, from a raw socket.
bool raw_arrives(
    const Slot& from, int netns, const char* address, int protocol, milliseconds wait) {
  base::UniqueFd listener = socket_in(netns, SOCK_RAW, protocol);
  base::UniqueFd sender = socket_in(from.netns.get(), SOCK_RAW, protocol);
  std::array<char, 16> payload{};
  sockaddr_in target = address_of(address, 0);
  ::sendto(sender.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&target),
           sizeof target);
  return waits_for_data(listener.get(), wait);
}

TEST(SlotPolicy, Net15DenyingTheNameserverStopsItsQueriesAndNobodyElses) {
  PolicyWorld world;
  UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
  world.apply(world.a, policy_of({}, {"8.8.8.8"}));
  send_datagram(world.a.netns.get(), kDnsServer, 53, "query");
  EXPECT_FALSE(forwarder.hears(kSilence));
  send_datagram(world.b.netns.get(), kDnsServer, 53, "query");
  EXPECT_TRUE(forwarder.hears(kPatience));
}

TEST(SlotPolicy, Net29Net31TheNameserverIsOpenWithADomainAndClosedWithout) {
  PolicyWorld world;
  UdpCanary forwarder(world.network->fd(), kGateway, world.network->ports().dns);
  world.apply(world.a, policy_of({"example.com"}, {"0.0.0.0/0"}));
  send_datagram(world.a.netns.get(), kDnsServer, 53, "query");
  EXPECT_TRUE(forwarder.hears(kPatience));
  world.apply(world.a, policy_of({"1.1.1.1"}, {"0.0.0.0/0"}));
  send_datagram(world.a.netns.get(), kDnsServer, 53, "query");
  EXPECT_FALSE(forwarder.hears(kSilence));
}

TEST(SlotPolicy, Net14Net25AddressRulesHoldForUdp) {
  PolicyWorld world;
  world.become_the_internet({kPublic, kOther});
  UdpCanary allowed(world.network->fd(), kPublic, kPort);
  UdpCanary denied(world.network->fd(), kOther, kPort);
  world.apply(world.a, policy_of({"93.184.216.0/24"}, {"0.0.0.0/0"}));
  EXPECT_TRUE(arrives(world.a, kPublic, allowed, kPatience));
  EXPECT_FALSE(arrives(world.a, kOther, denied, kSilence));
  EXPECT_TRUE(arrives(world.b, kOther, denied, kPatience));
}

TEST(SlotPolicy, Net25AddressRulesHoldForIcmpSctpAndGre) {
  PolicyWorld world;
  world.become_the_internet({kPublic, kOther});
  world.apply(world.a, policy_of({kPublic}, {"0.0.0.0/0"}));
  for (int protocol : std::initializer_list<int>{IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_GRE, 253}) {
    int net = world.network->fd();
    EXPECT_TRUE(raw_arrives(world.a, net, kPublic, protocol, kPatience)) << protocol;
    EXPECT_FALSE(raw_arrives(world.a, net, kOther, protocol, kSilence)) << protocol;
    EXPECT_TRUE(raw_arrives(world.b, net, kOther, protocol, kPatience)) << protocol;
  }
}

TEST(SlotPolicy, Net54Net55AllowBeatsDenyInTheKernelToo) {
  PolicyWorld world;
  world.become_the_internet({kPublic, kOther});
  UdpCanary canary(world.network->fd(), kPublic, kPort);
  world.apply(world.a, policy_of({"93.184.0.0/16"}, {kPublic}));
  EXPECT_TRUE(arrives(world.a, kPublic, canary, kPatience));
}

TEST(SlotPolicy, Net22ALongOverlappingListLoads) {
  PolicyWorld world;
  List deny = {"240.0.0.0/4", "255.255.255.255/32", "0.0.0.0/0", "1.0.0.0/1", "128.0.0.0/1"};
  while (deny.size() < kMaxPolicyEntries) {
    deny.push_back("77." + std::to_string(deny.size() / 256) + "." +
                   std::to_string(deny.size() % 256) + ".1");
  }
  world.apply(world.a, policy_of({}, deny));
  deny.erase(deny.begin(), deny.begin() + 5);
  world.apply(world.a, policy_of({}, deny));
}

TEST(SlotPolicy, Net58TighteningEndsEstablishedUdpInBothDirections) {
  PolicyWorld world;
  world.become_the_internet({kPublic});
  Echo far(world.network->fd(), kPublic, kPort);
  base::UniqueFd near = socket_in(world.a.netns.get(), SOCK_DGRAM);
  sockaddr_in target = address_of(kPublic, kPort);
  ASSERT_EQ(::connect(near.get(), reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
  ASSERT_EQ(::send(near.get(), "hello", 5, 0), 5);
  ASSERT_TRUE(far.receives(kPatience));
  far.answer();
  ASSERT_TRUE(waits_for_data(near.get(), kPatience)) << "the flow must be alive before";
  world.apply(world.a, policy_of({}, {"0.0.0.0/0"}));
  ::send(near.get(), "hello", 5, 0);
  EXPECT_FALSE(far.receives(kSilence));
  far.answer();
  EXPECT_FALSE(waits_for_data(near.get(), kSilence));
  world.apply(world.a, Policy());
  ASSERT_EQ(::send(near.get(), "hello", 5, 0), 5);
  EXPECT_TRUE(far.receives(kPatience));
}

TEST(SlotPolicy, OnesEntryNeverHidesAnothers) {
  PolicyWorld world;
  world.become_the_internet({kPublic});
  UdpCanary canary(world.network->fd(), kPublic, kPort);
  world.apply(world.a, policy_of({}, {"0.0.0.0/0"}));
  EXPECT_FALSE(arrives(world.a, kPublic, canary, kSilence));
  world.apply(world.b, policy_of({kPublic}, {"0.0.0.0/0", "93.184.216.0/24"}));
  EXPECT_FALSE(arrives(world.a, kPublic, canary, kSilence));
  EXPECT_TRUE(arrives(world.b, kPublic, canary, kPatience));
}

TEST(SlotPolicy, TcpIsLeftToTheProxy) {
  PolicyWorld world;
  TcpServer proxy(world.network->fd(), kGateway, world.network->ports().other, greet("proxy"));
  world.apply(world.a, Policy::closed());
  auto connection = connect_from(world.a.netns.get(), kPublic, 8080);
  ASSERT_TRUE(connection);
  EXPECT_EQ(read_once(connection->get()), "proxy");
}

TEST(SlotPolicy, LoopbackIsNotTouched) {
  PolicyWorld world;
  world.apply(world.a, Policy::closed());
  UdpCanary canary(world.a.netns.get(), "127.0.0.1", kPort);
  EXPECT_TRUE(arrives(world.a, "127.0.0.1", canary, kPatience));
}

// No program works any more: what closes the slot must not need one.
TEST(SlotPolicy, AFailedChangeIsAnErrorAndTheSlotIsClosedWithoutAnyProgram) {
  PolicyWorld world;
  world.become_the_internet({kPublic});
  Echo far(world.network->fd(), kPublic, kPort);
  base::UniqueFd near = socket_in(world.a.netns.get(), SOCK_DGRAM);
  sockaddr_in target = address_of(kPublic, kPort);
  ASSERT_EQ(::connect(near.get(), reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
  ASSERT_EQ(::send(near.get(), "hello", 5, 0), 5);
  ASSERT_TRUE(far.receives(kPatience)) << "the flow must be alive before";
  TcpServer server(world.network->fd(), kPublic, 8080, greet("proxy"));
  ASSERT_TRUE(connect_from(world.a.netns.get(), kPublic, 8080));
  std::filesystem::path refusing = std::filesystem::path(world.directory) / "refusing-restore";
  ASSERT_TRUE(base::write_file(refusing, "#!/bin/sh\necho refused >&2\nexit 1\n", 0755));
  RuleLoader broken{refusing.string(), world.directory};
  auto applied = apply_slot_policy(world.a.netns.get(), policy_of({kPublic}, {kOther}), broken);
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().message().find("refused"), std::string::npos);

  auto closed = close_slot(world.a.netns.get(), broken);
  ASSERT_TRUE(closed) << closed.error().message();
  ::send(near.get(), "hello", 5, 0);
  EXPECT_FALSE(far.receives(kSilence)) << "an established flow";
  far.answer();
  EXPECT_FALSE(waits_for_data(near.get(), kSilence)) << "what still comes in";
  send_datagram(world.a.netns.get(), kPublic, kPort, "hello");
  EXPECT_FALSE(far.receives(kSilence)) << "a new flow";
  EXPECT_FALSE(connect_from(world.a.netns.get(), kPublic, 8080)) << "TCP";
  UdpCanary own(world.a.netns.get(), "127.0.0.1", kPort);
  EXPECT_TRUE(arrives(world.a, "127.0.0.1", own, kPatience)) << "the sandbox itself goes on";
  ASSERT_TRUE(close_slot(world.a.netns.get(), broken)) << "twice is no problem";
  send_datagram(world.b.netns.get(), kPublic, kPort, "hello");
  EXPECT_TRUE(far.receives(kPatience)) << "the other sandbox";

  world.apply(world.a, Policy());
  ASSERT_EQ(::send(near.get(), "hello", 5, 0), 5);
  EXPECT_TRUE(far.receives(kPatience)) << "the next success opens it";
  far.answer();
  EXPECT_TRUE(waits_for_data(near.get(), kPatience));
}

TEST(SlotPolicy, ADeniedDatagramIsLostWithoutAnErrorOnBothBackEnds) {
  PolicyWorld world;
  int tried = 0;
  for (auto [tool, slot] : {std::pair{"iptables-nft-restore", &world.a},
                            std::pair{"iptables-legacy-restore", &world.b}}) {
    RuleLoader loader{tool, world.directory};
    if (!apply_slot_policy(slot->netns.get(), Policy::closed(), loader)) continue;
    ++tried;
    base::UniqueFd near = socket_in(slot->netns.get(), SOCK_DGRAM);
    sockaddr_in target = address_of(kPublic, kPort);
    ASSERT_EQ(::connect(near.get(), reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
    EXPECT_EQ(::send(near.get(), "hello", 5, 0), 5) << tool << ": " << std::strerror(errno);
  }
  EXPECT_GE(tried, 1);
}

TEST(SlotPolicy, AKernelWithoutQueuesDeniesAllTheSame) {
  PolicyWorld world;
  world.become_the_internet({kPublic});
  UdpCanary canary(world.network->fd(), kPublic, kPort);
  std::filesystem::path old = std::filesystem::path(world.directory) / "old-restore";
  ASSERT_TRUE(base::write_file(old,
                               "#!/bin/sh\nrules=$(cat)\ncase $rules in *NFQUEUE*) exit 1;; esac\n"
                               "echo \"$rules\" | " +
                                   world.loader.restore_tool + "\n",
                               0755));
  EXPECT_TRUE(arrives(world.a, kPublic, canary, kPatience));
  RuleLoader loader{old.string(), world.directory};
  ASSERT_TRUE(apply_slot_policy(world.a.netns.get(), Policy::closed(), loader));
  EXPECT_FALSE(arrives(world.a, kPublic, canary, kSilence));
}

TEST(SlotPolicy, BothBackEndsLoadItAndAThreadLocksOneFile) {
  PolicyWorld world;
  int loaded = 0;
  for (const char* tool : {"iptables-nft-restore", "iptables-legacy-restore"}) {
    RuleLoader loader{tool, world.directory};
    if (apply_slot_policy(world.b.netns.get(), policy_of({"8.8.8.8"}, {"0.0.0.0/0"}), loader)) {
      ++loaded;
    }
  }
  EXPECT_GE(loaded, 1);
  EXPECT_LE(world.lock_files(), 1U);
}

TEST(SlotPolicy, TakesTheFasterBackEndWhereItWorks) {
  PolicyWorld world;
  auto legacy = load_into(world.b.netns.get(), "iptables-legacy-restore",
                          "*filter\n-A INPUT -j DROP\nCOMMIT\n");
  EXPECT_EQ(world.network->slot_restore_tool(),
            legacy ? "iptables-legacy-restore" : world.network->restore_tool());
}

TEST(SlotPolicy, KnowsWhetherAChangeTouchesTheKernel) {
  EXPECT_FALSE(slot_rules_differ(Policy(), policy_of({"8.8.8.8"}, {})));
  EXPECT_FALSE(slot_rules_differ(policy_of({"a.com"}, {"0.0.0.0/0"}),
                                 policy_of({"b.com", "*.c.com"}, {"0.0.0.0/0"})));
  EXPECT_TRUE(slot_rules_differ(Policy(), policy_of({}, {"8.8.8.8"})));
  EXPECT_TRUE(slot_rules_differ(policy_of({}, {"8.8.8.8"}), Policy()));
}

}  // namespace
}  // namespace netfilter::tests
