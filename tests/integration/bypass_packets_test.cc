// Packets that no socket sends (contract-network 6.6-5): made by hand, by root in the sandbox, who
// is refused, and by the machine's root in the sandbox's network namespace, who meets the rules.
// Whatever must not arrive stands beside the same from a sandbox that may, where that is allowed at
// all.
#include <sstream>

#include <gtest/gtest.h>

#include "tests/integration/attack_range.h"

namespace tests::integration {
namespace {

using Words = std::vector<std::string>;

const Words kPrivate = {"10.200.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1",
                        "100.64.0.1", "127.0.0.1",       "169.254.1.1"};

TEST(BypassPackets, NoProtocolOtherThanTcpPassesAClosedPolicy) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string open = range.add_open();
  const Words numbers = {"1", "2", "17", "33", "47", "50", "132", "136", "253"};
  range.clear();
  for (const std::string& number : numbers)
    range.by_hand(closed, "packet via=ip to=1.1.1.1 proto=" + number);
  EXPECT_TRUE(range.silent());
  for (const std::string& number : numbers) {
    if (number == "136") continue;  // for connection tracking 16 bytes are no UDP-Lite
    range.sent(open, "packet via=ip to=1.1.1.1 proto=" + number);
    std::string name = number == "1" ? "icmp" : number == "17" ? "udp" : "ip-" + number;
    EXPECT_TRUE(range.arrived("address=1.1.1.1&protocol=" + name)) << name;
  }
}

TEST(BypassPackets, TcpMadeByHandNeverLeaves) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string open = range.add_open();
  range.clear();
  // SYN, ACK, RST, FIN+ACK, none, all of them: what is no connection to the proxy goes nowhere,
  // from a sandbox without a policy as well.
  for (const std::string& sandbox : {closed, open}) {
    for (const std::string via : {"ip", "frame"}) {
      for (const std::string flags : {"2", "16", "4", "17", "0", "63"}) {
        for (const std::string port : {"80", "443", "22"}) {
          range.sent(sandbox,
                     "packet via=" + via + " to=1.1.1.1 proto=6 port=" + port + " flags=" + flags);
        }
      }
    }
    EXPECT_EQ(range.inside(sandbox, "packet via=ip to=1.1.1.1 proto=6 port=22").exit_code,
              kProbeRefused);
  }
  // Not only SYNs: the switch's uplink sent no TCP at all.
  EXPECT_TRUE(range.silent());
  auto counted = range.enter_pinned("internet.netns", {"cat", "/proc/net/snmp"});
  auto line = counted.out.find("Tcp: ", counted.out.find("Tcp: ") + 5);
  ASSERT_NE(line, std::string::npos);
  std::istringstream numbers(counted.out.substr(line + 5));
  std::vector<long> values;
  for (long value = 0; numbers >> value;) values.push_back(value);
  ASSERT_GT(values.size(), 9U);
  EXPECT_EQ(values[9], 0) << "segments that arrived in the fake internet";
}

TEST(BypassPackets, NobodySpeaksWithAnothersAddress) {
  AttackRange range;
  std::string attacker = range.add_open();
  std::string victim = range.add_open();
  std::string own = range.address(attacker);
  std::string others = range.address(victim);
  ASSERT_NE(own, "");
  ASSERT_NE(others, "");
  range.clear();
  for (const std::string& from : Words{others, "10.71.99.99", "169.254.1.1", "203.0.113.2",
                                       "203.0.113.1", "8.8.8.8", "127.0.0.1", "0.0.0.0"}) {
    bool filled_in = from == "0.0.0.0";  // by a raw socket, with the sandbox's own
    for (const std::string how :
         {"via=ip", "via=frame", "via=frame mac=02000a470001", "via=frame dmac=ffffffffffff"}) {
      if (filled_in && how == "via=ip") continue;
      for (const std::string proto : {"17", "1", "6"})
        range.by_hand(attacker, "packet " + how + " to=1.1.1.1 from=" + from + " proto=" + proto);
    }
  }
  EXPECT_TRUE(range.silent());
  range.sent(attacker, "packet via=frame to=1.1.1.1 from=" + own);
  EXPECT_TRUE(range.arrived("address=1.1.1.1&protocol=udp")) << "the same under its own address";
}

TEST(BypassPackets, NoPacketReachesWhatIsAlwaysDenied) {
  AttackRange range;
  std::string open = range.add_open();
  std::string allowing = range.add({{"network", {{"allowOut", kPrivate}}}});
  Words targets = kPrivate;
  targets.insert(targets.end(), {"0.0.0.0", "0.0.0.1", "255.255.255.255", "10.71.255.255",
                                 "224.0.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1"});
  range.clear();
  for (const std::string& sandbox : {open, allowing}) {
    for (const std::string& to : targets) {
      for (const std::string proto : {"17", "1", "6", "132"})
        range.sent(sandbox, "packet via=frame to=" + to + " proto=" + proto);
      range.sent(sandbox, "packet via=frame dmac=ffffffffffff to=" + to);
      range.sent(sandbox, "packet via=frame cut=8 to=" + to);
      range.sent(sandbox, "packet via=frame to=1.1.1.1 route=" + to);
      range.sent(sandbox, "packet via=frame to=203.0.113.2 route=" + to);
    }
  }
  Words ordinary;
  for (const std::string& to : targets) ordinary.push_back("udp " + to + " 7777");
  std::string results = range.at_once(open, ordinary);
  EXPECT_EQ(results.find(": answer"), std::string::npos) << results;
  // A loose source route is no way either; the packet itself may go where it says.
  for (const std::string& to : targets) EXPECT_TRUE(range.silent("address=" + to)) << to;
  EXPECT_TRUE(range.silent("address=203.0.113.2"));
  range.sent(open, "packet via=frame to=1.1.1.2");
  EXPECT_TRUE(range.arrived("address=1.1.1.2"));
}

TEST(BypassPackets, FragmentsAreJudgedLikeTheWhole) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string open = range.add_open();
  range.clear();
  for (const std::string proto : {"17", "1", "6", "47"}) {
    range.by_hand(closed, "packet via=ip cut=8 to=1.1.1.1 proto=" + proto);
    range.by_hand(closed, "packet via=ip cut=8 to=10.200.0.1 proto=" + proto);
  }
  // A SYN in pieces does not get past the proxy, whoever sends it.
  for (const std::string& sandbox : {closed, open}) {
    for (const std::string cut : {"8", "16"}) {
      range.sent(sandbox, "packet via=frame proto=6 port=22 to=1.1.1.1 cut=" + cut);
    }
  }
  EXPECT_TRUE(range.silent());
  range.sent(open, "packet via=ip cut=8 to=1.1.1.1");
  EXPECT_TRUE(range.arrived("address=1.1.1.1&protocol=udp"));
}

TEST(BypassPackets, Ipv6GoesNowhere) {
  AttackRange range;
  std::string open = range.add_open();
  range.by_hand(open, "frame6");
  const std::string nowhere = "refused: send a datagram: Network is unreachable\n";
  for (const std::string to : {"ff02::1", "fe80::53:4cff:fe00:1", "2001:4860:4860::8888"}) {
    EXPECT_EQ(range.inside(open, "udp6 " + to + " 7777").out, nowhere) << to;
    EXPECT_EQ(range.entered(open, "udp6 " + to + " 7777").out, nowhere) << to;
  }
  // Even with an address of its own on eth0.
  auto enabled = range.enter(open, {"sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0",
                                    "net.ipv6.conf.eth0.disable_ipv6=0"});
  ASSERT_EQ(enabled.exit_code, 0) << enabled.err;
  // The kernel makes one by and by; this one is there at once.
  auto given =
      range.enter(open, {"ip", "-6", "address", "add", "fe80::53:1/64", "dev", "eth0", "nodad"});
  ASSERT_EQ(given.exit_code, 0) << given.err;
  EXPECT_EQ(range.entered(open, "udp6 ff02::1 7777").out, "silence\n");
  EXPECT_EQ(range.entered(open, "udp6 fe80::53:4cff:fe00:1 7777").out, "silence\n");
  for (const char* name : {"switch.netns", "internet.netns"}) {
    auto counted = range.enter_pinned(name, {"cat", "/proc/net/snmp6"});
    for (const std::string counter : {"Ip6InDelivers", "Ip6OutForwDatagrams", "Ip6OutRequests"}) {
      auto at = counted.out.find(counter);
      if (at == std::string::npos) continue;  // a kernel without IPv6
      EXPECT_EQ(std::atoi(counted.out.c_str() + at + counter.size()), 0) << name << " " << counter;
    }
  }
}

// Connection tracking knows the flows of all sandboxes: an error message about another's must not
// ride on that knowledge.
TEST(BypassPackets, NobodyReportsAnErrorInAnothersFlow) {
  AttackRange range;
  std::string attacker = range.add_open();
  std::string victim = range.add_open();
  std::string other = range.address(victim);
  range.sent(victim, "packet via=ip to=1.1.1.1 port=7777 sport=40000");
  ASSERT_TRUE(range.arrived("address=1.1.1.1&port=7777"));
  range.clear();
  range.by_hand(attacker, "packet via=ip proto=1 to=1.1.1.1 about=" + other + ":40000");
  range.by_hand(attacker, "packet via=frame proto=1 to=1.1.1.1 about=" + other + ":40000");
  EXPECT_TRUE(range.silent("protocol=icmp"));
  range.sent(attacker, "packet via=ip proto=1 to=1.1.1.1");
  EXPECT_TRUE(range.arrived("protocol=icmp")) << "an echo goes through";
}

TEST(BypassPackets, RootInASandboxHasNoToolForThem) {
  AttackRange range;
  std::string closed = range.add_closed();
  for (const std::string words : {"packet via=ip to=1.1.1.1", "packet via=frame to=1.1.1.1",
                                  "packet via=ip proto=1 to=1.1.1.1", "frame6", "vsock32"}) {
    auto ran = range.inside(closed, words);
    EXPECT_EQ(ran.exit_code, kProbeRefused) << words << ": " << ran.out << ran.err;
  }
  for (const char* attempt :
       {"ip link set eth0 address 02:00:00:00:00:01", "ip address add 10.71.0.99/32 dev eth0",
        "ip route add 10.0.0.0/8 dev eth0", "ip link set eth0 netns $$", "iptables -F",
        "iptables-legacy -F", "nft flush ruleset", "sysctl -w net.ipv4.ip_forward=1",
        "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6", "ping -c1 -W1 1.1.1.1",
        // A namespace of its own has raw sockets and no link to send them through.
        "unshare -rn /tmp/attack_probe udp 1.1.1.1 7777",
        "unshare -rn /tmp/attack_probe packet via=frame from=10.71.0.1 to=1.1.1.1"}) {
    EXPECT_NE(range.emulator().run(closed, attempt, "root").exit_code, 0) << attempt;
  }
  range.clear();
  range.emulator().run(closed, "sudo iptables -F; sudo nft flush ruleset; true");
  EXPECT_EQ(range.inside(closed, "udp 1.1.1.1 7777").out, "silence\n");
  EXPECT_TRUE(range.silent());
}

}  // namespace
}  // namespace tests::integration
