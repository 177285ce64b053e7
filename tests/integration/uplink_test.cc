// --internet host and netns:NAME with real sandboxes. The emulator of each test runs inside a
// network namespace that plays the developer's machine; the internet behind it is the fake internet
// of a second emulator (contract-network 6.1). The real machine's network is not touched.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "netfilter/network.h"
#include "tests/integration/emulator_process.h"
#include "tests/integration/machine.h"

#include <spawn.h>

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

// The fake internet of an emulator of its own, and where to enter it.
struct Internet {
  Internet() : emulator(dir.path(), {{"--internet", "fake", "--pool", "0"}, {}}) {
    EXPECT_TRUE(emulator.ready()) << emulator.log();
    for (const auto& entry : std::filesystem::directory_iterator(dir.path() / "run"))
      netns = entry.path() / "internet.netns";
  }
  TempDir dir;
  EmulatorProcess emulator;
  std::filesystem::path netns;
};

class HostUplink : public testing::Test {
 protected:
  HostUplink() { machine.connect_to(internet.netns); }

  // Everything in the machine.
  void run(const std::function<void()>& work) const {
    machine.run([&] {
      before = machine_state();
      work();
    });
  }
  void expect_untouched(const char* when) const {
    EXPECT_EQ(difference(before, machine_state()), "") << when;
  }

  static EmulatorProcess::Options host() { return {{"--internet", "host", "--pool", "0"}, {}}; }

  Internet internet;
  Machine machine;
  mutable std::string before;
};

std::string forwarding() {
  return base::read_file("/proc/sys/net/ipv4/ip_forward").value_or("");
}

// Whether `link`s named "sl-*" are in the calling thread's namespace.
std::size_t uplinks() {
  std::size_t count = 0;
  std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> links(::if_nameindex(),
                                                                            &::if_freenameindex);
  for (auto* one = links.get(); one != nullptr && one->if_index != 0; ++one)
    if (std::string_view(one->if_name).starts_with("sl-")) ++count;
  return count;
}

// Sends a datagram from the sandbox and prints what comes back within a second, or "silence".
std::string echo(const EmulatorProcess& emulator,
                 const std::string& sandbox,
                 const std::string& address,
                 int port) {
  // A packet that may not leave is an error for the sender or no answer: the same for this purpose.
  std::string program =
      "import socket\n"
      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
      "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
      "s.settimeout(1)\n"
      "try:\n"
      "  s.sendto(b'hello', ('" +
      address + "', " + std::to_string(port) +
      "))\n"
      "  print(s.recv(99).decode())\n"
      "except OSError: print('silence')\n";
  auto ran = emulator.run(sandbox, "python3 -c \"" + program + "\"");
  return ran.out + ran.err;
}

std::string ping(const EmulatorProcess& emulator,
                 const std::string& sandbox,
                 const std::string& address) {
  auto ran = emulator.run(sandbox, "ping -c1 -W1 " + address + " >/dev/null && echo pong");
  return ran.out + ran.err;
}

std::string http_status(const EmulatorProcess& emulator,
                        const std::string& sandbox,
                        const std::string& url) {
  auto ran = emulator.run(sandbox, "curl -sS -m 5 -o /dev/null -w '%{http_code}' " + url);
  return ran.out + ran.err;
}

TEST_F(HostUplink, CarriesUdpAndIcmpAndLeavesTheMachineAsItWas) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    expect_untouched("before the first sandbox");
    std::string sandbox = emulator.create();
    EXPECT_EQ(http_status(emulator, sandbox, "http://93.184.216.34"), "200");
    EXPECT_EQ(echo(emulator, sandbox, "93.184.216.34", 7777), "hello\n");
    EXPECT_EQ(ping(emulator, sandbox, "1.1.1.1"), "pong\n");
    EXPECT_EQ(uplinks(), 1U);
    EXPECT_EQ(forwarding(), "1\n");
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
    expect_untouched("afterwards");
    EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
  });
}

void restore_rules(const std::string& rules) {
  base::ToolSpec spec;
  spec.argv = {"iptables-restore"};
  spec.stdin_text = rules;
  auto loaded = base::run_tool(spec);
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->exit_code, 0) << loaded->err;
}

constexpr const char* kNoRules = "*mangle\nCOMMIT\n*nat\nCOMMIT\n*filter\nCOMMIT\n";

TEST_F(HostUplink, IsUndoneAfterSomebodyHasFlushedAllRules) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    emulator.create();
    ASSERT_EQ(forwarding(), "1\n");
    restore_rules(kNoRules);
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
    EXPECT_EQ(forwarding(), "0\n");
    EXPECT_EQ(uplinks(), 0U);
  });
}

// More than a megabyte of rules, before ours in the list.
TEST_F(HostUplink, IsUndoneOnAMachineWithManyRules) {
  run([&] {
    std::string rules = "*filter\n:SANDLOT_TEST - [0:0]\n";
    for (int i = 0; i < 30'000; ++i) {
      rules += "-A SANDLOT_TEST -s 10." + std::to_string(100 + i / 65536) + "." +
               std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + "/32 -j ACCEPT\n";
    }
    restore_rules(rules + "COMMIT\n");
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    emulator.create();
    ASSERT_EQ(forwarding(), "1\n") << emulator.log();
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
    EXPECT_EQ(uplinks(), 0U);
    EXPECT_EQ(forwarding(), "0\n");
    base::ToolSpec spec;
    spec.argv = {"iptables-save"};
    spec.output_limit = 64U << 20U;
    auto saved = base::run_tool(spec);
    ASSERT_TRUE(saved);
    EXPECT_GT(saved->out.size(), 1U << 20U) << "the test is about more than that";
    EXPECT_EQ(saved->out.find("sandlot:"), std::string::npos);
  });
}

TEST_F(HostUplink, IsNotMadeForSandboxesThatMaySendNothing) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string closed = emulator.create({{"allow_internet_access", false}});
    EXPECT_EQ(echo(emulator, closed, "93.184.216.34", 7777), "silence\n");
    expect_untouched("with a sandbox that may send nothing");
    // The policy may change later.
    EXPECT_EQ(emulator.api("PUT", "/sandboxes/" + closed + "/network", Json::object()).status, 204);
    EXPECT_EQ(echo(emulator, closed, "93.184.216.34", 7777), "hello\n");
    EXPECT_EQ(uplinks(), 1U);
    emulator.stop();
    expect_untouched("afterwards");
  });
}

// Its record cannot be written: nothing may be done to the machine that nobody could undo.
TEST_F(HostUplink, ThatCannotBeMadeIsSaidOnceAndLeavesTcpAndTheMachine) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    auto own = std::filesystem::directory_iterator(dir.path() / "run")->path();
    ASSERT_TRUE(std::filesystem::create_directory(own / "uplink"));
    for (const std::string& sandbox : {emulator.create(), emulator.create()}) {
      EXPECT_EQ(http_status(emulator, sandbox, "http://93.184.216.34"), "200");
      EXPECT_EQ(echo(emulator, sandbox, "93.184.216.34", 7777), "silence\n");
      Json asked = {{"ip", "93.184.216.34"}, {"port", 7777}, {"protocol", "udp"}};
      auto told = emulator.api("POST", "/_sandlot/sandboxes/" + sandbox + "/explain", asked);
      EXPECT_EQ(told.json().value("rule", ""), "no way out for UDP and ICMP") << told.body;
    }
    EXPECT_EQ(uplinks(), 0U);
    expect_untouched("after it failed");
    std::string log = emulator.log();
    auto first = log.find("uplink.failed");
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(log.find("uplink.failed", first + 1), std::string::npos) << log;
    ASSERT_TRUE(std::filesystem::remove(own / "uplink"));
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
    EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
  });
}

TEST_F(HostUplink, ObeysThePolicyOfEachSandbox) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    Json lists = {{"denyOut", {"0.0.0.0/0"}}, {"allowOut", {"8.8.8.8"}}};
    std::string one = emulator.create({{"network", lists}});
    std::string other = emulator.create({{"network", {{"denyOut", {"8.8.8.8"}}}}});
    EXPECT_EQ(echo(emulator, one, "8.8.8.8", 7777), "hello\n");
    EXPECT_EQ(echo(emulator, one, "1.1.1.1", 7777), "silence\n");
    EXPECT_EQ(ping(emulator, one, "1.1.1.1"), "");
    EXPECT_EQ(echo(emulator, other, "1.1.1.1", 7777), "hello\n");
    EXPECT_EQ(ping(emulator, other, "1.1.1.1"), "pong\n");
    EXPECT_EQ(echo(emulator, other, "8.8.8.8", 7777), "silence\n");
  });
}

// This is the machine's resolver.
EmulatorProcess::Options resolving(EmulatorProcess::Options options,
                                   const TempDir& dir,
                                   const std::string& server) {
  EXPECT_TRUE(base::write_file(dir.path() / "resolv.conf", "nameserver " + server + "\n"));
  const char* mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
  options.prefix = {"unshare", "--mount", "--propagation", "private",
                    "sh",      "-c",      mount,           dir.path() / "resolv.conf"};
  return options;
}

TEST_F(HostUplink, ResolvesNamesWithTheMachinesResolver) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), resolving(host(), dir, "1.1.1.1"));
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    EXPECT_EQ(emulator.run(sandbox, "cat /etc/resolv.conf").out, "nameserver 8.8.8.8\n");
    EXPECT_EQ(http_status(emulator, sandbox, "http://example.com"), "200");
  });
}

// A datagram socket of the machine, on all its addresses.
base::UniqueFd listen_udp(std::uint16_t port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

bool hears(const base::UniqueFd& socket, int milliseconds) {
  pollfd set{socket.get(), POLLIN, 0};
  bool heard = ::poll(&set, 1, milliseconds) == 1;
  std::array<char, 64> drop{};
  if (heard) (void)::recv(socket.get(), drop.data(), drop.size(), 0);
  return heard;
}

TEST_F(HostUplink, WithoutInternetNobodyIsAskedForANameThatIsShownAtTheEmulatorsOwnDoor) {
  run([&] {
    TempDir dir;
    auto resolver = listen_udp(53);
    EmulatorProcess::Options none{{"--domain", "sandlot.test"}, {}};
    EmulatorProcess emulator(dir.path(), resolving(std::move(none), dir, "127.0.0.1"));
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    Json lists = {{"allowOut", {"example.com"}}, {"denyOut", {"0.0.0.0/0"}}};
    const char* ask = "curl -sS -m 5 --connect-to ::198.18.0.1:80 http://example.com";
    EXPECT_NE(emulator.run(emulator.create({{"network", lists}}), ask).exit_code, 0);
    EXPECT_FALSE(hears(resolver, 200));
  });
}

TEST_F(HostUplink, DoesNotLeadToTheMachineItself) {
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    auto service = listen_udp(9999);
    // Its public address, the uplink's own two, loopback, the networks' broadcast addresses.
    for (const char* address : {Machine::kAddress, "169.254.71.1", "169.254.71.2", "127.0.0.1",
                                "192.0.2.3", "255.255.255.255"}) {
      echo(emulator, sandbox, address, 9999);
      EXPECT_FALSE(hears(service, 200)) << address;
    }
    EXPECT_EQ(ping(emulator, sandbox, Machine::kAddress), "");
    // What would be heard, is.
    base::UniqueFd here(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9999);
    ::inet_pton(AF_INET, Machine::kAddress, &to.sin_addr);
    ::sendto(here.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    EXPECT_TRUE(hears(service, 2000));
  });
}

// A process that does nothing but be in the calling thread's network namespace.
class Resident {
 public:
  Resident() {
    std::array<const char*, 3> argv = {"sleep", "600", nullptr};
    EXPECT_EQ(::posix_spawnp(&pid_, argv[0], nullptr, nullptr,
                             const_cast<char* const*>(argv.data()), environ),
              0);
  }
  ~Resident() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

 private:
  pid_t pid_ = -1;
};

TEST_F(HostUplink, OfAKilledEmulatorIsRemovedByGcWhereverThatRuns) {
  TempDir dir;
  std::optional<Resident> resident;  // as in any namespace that is in use
  run([&] {
    resident.emplace();
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    EXPECT_EQ(ping(emulator, sandbox, "1.1.1.1"), "pong\n");
    emulator.kill_hard();
    EXPECT_NE(difference(before, machine_state()), "") << "the test looks at the wrong thing";
  });
  // From the real machine's network, which is another one.
  std::string real = machine_state();
  auto would = sandlot(dir.path(), {"gc", "--dry-run"});
  EXPECT_NE(would.out.find("would remove rules of sandlot:"), std::string::npos) << would.out;
  EXPECT_NE(would.out.find("would remove link sl-"), std::string::npos) << would.out;
  machine.run([&] { EXPECT_EQ(forwarding(), "1\n") << "dry means dry"; });
  auto did = sandlot(dir.path(), {"gc"});
  EXPECT_EQ(did.exit_code, 0) << did.err;
  machine.run([&] { expect_untouched("after gc"); });
  EXPECT_EQ(difference(real, machine_state()), "");
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST_F(HostUplink, OfAKilledEmulatorIsRemovedByTheNextStart) {
  TempDir dir;
  run([&] {
    {
      EmulatorProcess emulator(dir.path(), host());
      ASSERT_TRUE(emulator.ready()) << emulator.log();
      emulator.create();
      EXPECT_EQ(uplinks(), 1U);
      emulator.kill_hard();
    }
    EmulatorProcess emulator(dir.path(), {{"--internet", "none", "--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    expect_untouched("after the next start");
  });
}

TEST_F(HostUplink, OfTwoEmulatorsTheLastOneTurnsForwardingOff) {
  run([&] {
    TempDir first_dir;
    TempDir second_dir;
    EmulatorProcess first(first_dir.path(), host());
    EmulatorProcess second(second_dir.path(), host());
    ASSERT_TRUE(first.ready() && second.ready()) << first.log() << second.log();
    std::string one = first.create();
    std::string other = second.create();
    EXPECT_EQ(uplinks(), 2U);
    EXPECT_EQ(echo(first, one, "1.1.1.1", 7777), "hello\n");
    EXPECT_EQ(echo(second, other, "1.1.1.1", 7777), "hello\n");
    EXPECT_EQ(first.stop(), 0);
    EXPECT_EQ(uplinks(), 1U);
    EXPECT_EQ(echo(second, other, "1.1.1.1", 7777), "hello\n");
    EXPECT_EQ(second.stop(), 0);
    expect_untouched("after both");
  });
}

TEST_F(HostUplink, LeavesForwardingAloneThatWasOnBefore) {
  machine.run([] {
    EXPECT_TRUE(base::write_file("/proc/sys/net/ipv4/ip_forward", "1"));
    EXPECT_TRUE(base::write_file("/proc/sys/net/ipv4/conf/all/accept_redirects", "1"));
  });
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    EXPECT_EQ(ping(emulator, emulator.create(), "1.1.1.1"), "pong\n");
    EXPECT_EQ(emulator.stop(), 0);
    EXPECT_EQ(forwarding(), "1\n");
    expect_untouched("afterwards");
  });
}

TEST_F(HostUplink, WritesBackForwardingThatWasOnForOneLinkAlone) {
  machine.run([] {
    EXPECT_TRUE(base::write_file("/proc/sys/net/ipv4/conf/wan/forwarding", "1"));
    EXPECT_TRUE(base::write_file("/proc/sys/net/ipv4/conf/all/accept_redirects", "0"));
  });
  run([&] {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), host());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    emulator.create();
    EXPECT_EQ(forwarding(), "1\n");
    EXPECT_EQ(emulator.stop(), 0);
    expect_untouched("afterwards");
  });
}

TEST(NamespaceUplink, LeadsEverythingIntoTheNamedNamespaceAndLeavesTheMachineAlone) {
  Internet internet;
  Machine machine;  // without any way out of its own
  machine.run([&] {
    std::string before = machine_state();
    TempDir dir;
    EmulatorProcess emulator(
        dir.path(), {{"--internet", "netns:" + internet.netns.string(), "--pool", "0"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    EXPECT_EQ(http_status(emulator, sandbox, "http://example.com"), "200") << "TCP, by name";
    EXPECT_EQ(http_status(emulator, sandbox, "http://1.1.1.1"), "301");
    EXPECT_EQ(echo(emulator, sandbox, "1.1.1.1", 7777), "hello\n");
    EXPECT_EQ(ping(emulator, sandbox, "1.1.1.1"), "pong\n");
    Json lists = {{"denyOut", {"0.0.0.0/0"}}, {"allowOut", {"example.com"}}};
    std::string named = emulator.create({{"network", lists}});
    EXPECT_EQ(http_status(emulator, named, "http://example.com"), "200");
    EXPECT_EQ(echo(emulator, named, "1.1.1.1", 7777), "silence\n");
    EXPECT_EQ(difference(before, machine_state()), "");
    EXPECT_EQ(emulator.stop(), 0);
  });
}

TEST(NamespaceUplink, MayBeSharedByTwoAndPutsNothingButALinkThere) {
  Internet internet;
  auto far = base::open_file(internet.netns, O_RDONLY);
  ASSERT_TRUE(far);
  auto state = [&] {
    std::string text;
    EXPECT_TRUE(netfilter::run_in_netns(far->get(), [&]() -> base::Result<> {
      text = machine_state();
      return {};
    }));
    return text;
  };
  std::string before = state();
  EmulatorProcess::Options options{
      {"--internet", "netns:" + internet.netns.string(), "--pool", "0"}, {}};
  TempDir first_dir;
  TempDir second_dir;
  EmulatorProcess first(first_dir.path(), options);
  EmulatorProcess second(second_dir.path(), options);
  ASSERT_TRUE(first.ready() && second.ready()) << first.log() << second.log();
  EXPECT_EQ(echo(first, first.create(), "1.1.1.1", 7777), "hello\n");
  EXPECT_EQ(echo(second, second.create(), "1.1.1.1", 7777), "hello\n");
  EXPECT_EQ(first.stop(), 0);
  EXPECT_EQ(second.stop(), 0);
  EXPECT_EQ(difference(before, state()), "");
}

TEST(NamespaceUplink, ThatDoesNotExistOrIsTheMachinesOwnIsAMistakeInTheConfiguration) {
  for (const char* name : {"netns:no-such-namespace", "netns:/etc/passwd",
                           "netns:/proc/self/ns/net", "netns:/proc/self/ns/mnt"}) {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), {{"--internet", name, "--pool", "0"}, {}});
    EXPECT_FALSE(emulator.ready()) << name;
    EXPECT_EQ(emulator.stop(), 5) << name;
    EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
  }
}

}  // namespace
}  // namespace tests::integration
