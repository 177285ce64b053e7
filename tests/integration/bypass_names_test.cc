// What the proxy decides by name (contract-network 2.8, 6.6-5): forged names, names of private
// addresses, names in pieces, connections that never say one; and floods.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "tests/integration/attack_range.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

constexpr const char* kExample = "address=93.184.216.34";

Json allowing(const Words& names) {
  return {{"network", {{"allowOut", names}, {"denyOut", {"0.0.0.0/0"}}}}};
}

// Both attackers: an ordinary connection needs no capability, so both can.
void both(const AttackRange& range, const std::string& sandbox, const std::string& words) {
  for (const auto& ran : {range.inside(sandbox, words), range.entered(sandbox, words)})
    EXPECT_EQ(ran.exit_code, 0) << words << ": " << ran.out << ran.err;
}

std::size_t descriptors(pid_t pid) {
  std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(BypassNames, AForgedNameLeadsToItsOwnerOnly) {
  AttackRange range;
  std::string sandbox = range.add(allowing({"example.com"}));
  range.clear();
  both(range, sandbox, "tls 9.9.9.9 443 google.com 16000");
  both(range, sandbox, "tls 9.9.9.9 443 example.com.evil.test 16000");
  both(range, sandbox, "tls 9.9.9.9 8443 example.com 16000");
  both(range, sandbox, "tcp 9.9.9.9 443 GET");
  EXPECT_TRUE(range.silent());
  both(range, sandbox, "tls 9.9.9.9 443 example.com 16000");
  EXPECT_TRUE(range.arrived(std::string(kExample) + "&port=443"));
  EXPECT_TRUE(range.silent("address=9.9.9.9"));
}

TEST(BypassNames, ANameOfAPrivateAddressIsNotDialled) {
  AttackRange range;
  std::string sandbox = range.add(allowing({"rebind.test", "*.rebind.test", "example.com"}));
  std::string open = range.add_open();
  range.clear();
  Words probes;
  for (const std::string name :
       {"rebind.test", "metadata.rebind.test", "flip.rebind.test", "mixed.rebind.test"}) {
    for (const std::string at : {"10.200.0.1", "169.254.169.254", "93.184.216.34", "1.1.1.1"})
      probes.push_back("tls " + at + " 443 " + name + " 16000");
  }
  std::istringstream results(range.at_once(sandbox, probes));
  for (std::string line; std::getline(results, line);) {
    if (line.find(": data") == std::string::npos) continue;
    // Those have a public address, too, at times or always.
    bool may = line.find(" mixed.rebind.test ") != std::string::npos ||
               line.find(" flip.rebind.test ") != std::string::npos;
    EXPECT_TRUE(may) << "answered from a private address: " << line;
  }
  range.at_once(open, probes);
  EXPECT_TRUE(range.silent("address=10.200.0.1"));
  EXPECT_TRUE(range.silent("address=169.254.169.254"));
  // The sandbox's own lookups see what the cloud's would; that is no way to get there.
  for (const char* address : {"https://rebind.test", "http://rebind.test"}) {
    auto fetched = range.emulator().run(open, std::string("curl -sk -m 3 ") + address);
    EXPECT_EQ(fetched.exit_code, 28) << "the name is known, nobody answers: " << fetched.err;
  }
  EXPECT_TRUE(range.silent("address=10.200.0.1"));
  EXPECT_TRUE(range.arrived(std::string(kExample) + "&port=443")) << "the public half of mixed";
}

TEST(BypassNames, AHelloInAThousandRecordsIsReadToTheEnd) {
  AttackRange range;
  std::string sandbox = range.add(allowing({"example.com"}));
  range.clear();
  for (const std::string size : {"1", "2", "7", "500"})
    both(range, sandbox, "tls 1.1.1.1 443 google.com " + size);
  EXPECT_TRUE(range.silent());
  both(range, sandbox, "tls 1.1.1.1 443 example.com 1");
  EXPECT_TRUE(range.arrived(std::string(kExample) + "&port=443"));
  EXPECT_TRUE(range.silent("address=1.1.1.1"));
}

// Connections that say nothing, and requests to connect that nobody completes: the sandbox beside
// them does not notice, nothing of them arrives, and what they held is given back.
TEST(BypassNames, AFloodOfHalfOpenConnectionsIsItsOwnersProblem) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string named = range.add(allowing({"example.com"}));
  std::string neighbour = range.add_open();
  // Networks are made ahead, in the background, and have descriptors: three are in use, four ready.
  for (int i = 0; i < 250 && range.emulator().state()["counts"]["netns"] != 7; ++i) {
    std::this_thread::sleep_for(20ms);
  }
  std::size_t before = descriptors(range.emulator().pid());
  range.clear();
  // Not one answer to the switch's SYN-ACK: the slot's kernel is told to send no resets.
  auto mute = range.enter(
      closed, {"iptables", "-I", "OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"});
  EXPECT_EQ(mute.exit_code, 0) << mute.err;
  for (const std::string port : {"443", "80", "22"}) {
    range.sent(closed, "packet via=frame proto=6 ports=20000 sport=1024 to=1.1.1.1 port=" + port);
  }
  auto silent = range.emulator().run(
      named,
      "ulimit -n 4096; python3 -c 'import socket,time\n"
      "held=[socket.create_connection((\"9.9.9.9\",443)) for i in range(900)]\n"
      "print(len(held))'",
      "root");
  EXPECT_EQ(silent.out, "900\n") << silent.err;
  EXPECT_TRUE(range.silent());
  auto start = std::chrono::steady_clock::now();
  auto fetched = range.emulator().run(
      neighbour, "curl -sS -o /dev/null -w '%{http_code}' https://example.com");
  EXPECT_EQ(fetched.out, "200") << fetched.err;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  // An end may have been lost in the flood: then the limit of the wait for a name (30 s) is the
  // end.
  std::size_t after = 0;
  for (int i = 0; i < 2000; ++i) {
    after = descriptors(range.emulator().pid());
    if (after <= before) break;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LE(after, before);
}

// The table of connections is everybody's: what one sandbox has opened and closed must not fill it.
TEST(BypassNames, ConnectionsThatHaveEndedAreSoonForgotten) {
  AttackRange range;
  std::string closed = range.add_closed();
  auto tracked = [&] {
    auto ran =
        range.enter_pinned("switch.netns", {"cat", "/proc/sys/net/netfilter/nf_conntrack_count"});
    return std::atoi(ran.out.c_str());
  };
  auto opened = range.emulator().run(
      closed,
      "python3 -c 'import socket\n"
      "for i in range(3000):\n"
      "  s=socket.create_connection((\"9.9.%d.9\" % (i % 8),22)); s.recv(1); s.close()\n"
      "print(i)'");
  EXPECT_EQ(opened.out, "2999\n") << opened.err;
  int at_peak = tracked();
  EXPECT_GT(at_peak, 1000) << "the test looks at the wrong thing";
  int left = at_peak;
  // Those that are due disappear when the kernel next walks its table, or counts.
  for (int i = 0; i < 100 && left > at_peak / 10; ++i) {
    std::this_thread::sleep_for(100ms);
    auto listed = range.enter_pinned("switch.netns", {"cat", "/proc/net/nf_conntrack"});
    left = static_cast<int>(std::count(listed.out.begin(), listed.out.end(), '\n'));
  }
  EXPECT_LE(left, at_peak / 10);
}

TEST(BypassNames, RulesFlushedInsideTheSlotOpenNothingOfTheSwitchs) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string beside = range.add_closed();
  range.clear();
  for (const char* tool : {"iptables", "iptables-legacy", "iptables-nft"}) {
    EXPECT_NE(range.emulator().run(closed, std::string(tool) + " -F", "root").exit_code, 0);
  }
  both(range, closed, "tcp 1.1.1.1 443 GET");
  EXPECT_TRUE(range.silent());
  // The machine's root can take the slot's rules away: TCP is still the proxy's, the private
  // ranges are still the switch's, and another sandbox's rules are its own.
  for (const char* tool : {"iptables", "iptables-legacy", "iptables-nft"})
    EXPECT_EQ(range.enter(closed, {tool, "-F"}).exit_code, 0) << tool;
  for (const std::string at : {"1.1.1.1", "10.200.0.1", "169.254.169.254"}) {
    range.sent(closed, "tcp " + at + " 443 GET");
    range.sent(closed, "tcp " + at + " 22");
    if (at != "1.1.1.1") range.sent(closed, "udp " + at + " 7777");
    range.sent(beside, "udp " + at + " 7777");
  }
  EXPECT_TRUE(range.silent());
  EXPECT_EQ(range.entered(closed, "udp 1.1.1.1 7777").out.substr(0, 6), "answer")
      << "the control: the rules are gone";
  // The next change puts all of them back.
  EXPECT_EQ(range.emulator()
                .api("PUT", "/sandboxes/" + closed + "/network",
                     {{"denyOut", {"0.0.0.0/0"}}, {"allowOut", {"9.9.9.9/32"}}})
                .status,
            204);
  range.clear();
  range.sent(closed, "udp 1.1.1.1 7777");
  EXPECT_TRUE(range.silent());
}

}  // namespace
}  // namespace tests::integration
