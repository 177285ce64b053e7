// Places that no sandbox may reach, with or without a policy, by ordinary sockets and as the
// machine's root in the sandbox's network namespace (contract-network 6.6-5): Sandlot's own ports,
// the machine, the switch's ends, another sandbox. What listens there is asked by somebody who may,
// so that silence is not a dead server.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "emulator/base/unique_fd.h"
#include "tests/integration/attack_range.h"

#include <ifaddrs.h>

namespace tests::integration {
namespace {

using Words = std::vector<std::string>;

// Everything that needs no packet made by hand, in both ways: nobody answers.
void knock(const AttackRange& range,
           const std::string& sandbox,
           const Words& addresses,
           const std::vector<int>& ports) {
  Words probes;
  for (const std::string& address : addresses) {
    for (int port : ports) {
      std::string where = address + " " + std::to_string(port);
      // TCP says nothing at first, or speaks first: both kinds of server would answer.
      probes.insert(probes.end(), {"udp " + where, "tcp " + where, "tcp " + where + " GET"});
    }
  }
  std::string results = range.at_once(sandbox, probes);
  EXPECT_EQ(results.find(": answer"), std::string::npos) << results;
  EXPECT_EQ(results.find(": data"), std::string::npos) << results;
}

// TCP and UDP on one port of every address of this network namespace.
class Listener {
 public:
  Listener() {
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      base::UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
      sockaddr_in where{};
      where.sin_family = AF_INET;
      where.sin_port = htons(static_cast<std::uint16_t>(port_));
      EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
      if (type == SOCK_STREAM) {
        EXPECT_EQ(::listen(socket.get(), 8), 0);
      }
      socklen_t size = sizeof where;
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&where), &size);
      port_ = ntohs(where.sin_port);
      sockets_.push_back(std::move(socket));
    }
  }
  int port() const { return port_; }
  // What came to either, taken away; waits a moment.
  int heard() {
    int count = 0;
    for (base::UniqueFd& socket : sockets_) {
      pollfd wait{socket.get(), POLLIN, 0};
      while (::poll(&wait, 1, 100) > 0) {
        ++count;
        char byte = 0;
        if (&socket == &sockets_[1]) {
          (void)!::recv(socket.get(), &byte, 1, 0);
        } else {
          base::UniqueFd taken(::accept(socket.get(), nullptr, nullptr));
        }
      }
    }
    return count;
  }

 private:
  int port_ = 0;
  std::vector<base::UniqueFd> sockets_;
};

Words addresses_of_the_machine() {
  Words found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_in address{};
    std::copy_n(reinterpret_cast<const char*>(one->ifa_addr), sizeof address,
                reinterpret_cast<char*>(&address));
    char text[INET_ADDRSTRLEN];
    found.emplace_back(::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text));
  }
  ::freeifaddrs(all);
  return found;
}

TEST(BypassPlaces, TheMachineIsOutOfReachUnderEveryAddress) {
  AttackRange range;
  std::string open = range.add_open();
  Listener listener;
  Words addresses = addresses_of_the_machine();
  ASSERT_FALSE(addresses.empty());
  // The machine reaches it: over its own loopback, whatever the address.
  for (const char* way : {"udp", "tcp"}) {
    Words probe = {SANDLOT_ATTACK_PROBE, way, addresses.back(), std::to_string(listener.port())};
    EXPECT_EQ(range.here(probe).exit_code, 0);
    EXPECT_EQ(listener.heard(), 1) << way;
  }
  addresses.insert(addresses.end(), {"0.0.0.0", "255.255.255.255", "169.254.1.1", "203.0.113.2"});
  knock(range, open, addresses, {listener.port(), range.emulator().port()});
  for (const std::string& address : addresses) {
    std::string port = std::to_string(listener.port());
    range.sent(open, "packet via=frame to=" + address + " port=" + port);
    range.sent(open, "packet via=frame proto=6 to=" + address + " port=" + port);
  }
  EXPECT_EQ(listener.heard(), 0);
}

TEST(BypassPlaces, TheProxysAndTheForwardersOwnPortsCannotBeNamed) {
  AttackRange range;
  std::string open = range.add_open();
  std::string closed = range.add_closed();
  range.clear();
  for (const std::string& sandbox : {open, closed})
    knock(range, sandbox, {"169.254.1.1", "203.0.113.2"}, {5016, 5017, 5018, 5353, 53});
  EXPECT_TRUE(range.silent());
  // The ports as such are ordinary at an address of the internet: the proxy takes them for what
  // they are there.
  EXPECT_EQ(range.inside(open, "tcp 1.1.1.1 9000 hello").out, "data 5\n");
}

TEST(BypassPlaces, AnotherSandboxIsOutOfReach) {
  AttackRange range;
  std::string attacker = range.add_open();
  std::string victim = range.add_open();
  std::string at = range.address(victim);
  auto server = range.emulator().run(
      victim,
      "nohup python3 -c 'import socket,threading\n"
      "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.bind((\"0.0.0.0\",7777))\n"
      "t=socket.create_server((\"0.0.0.0\",7777))\n"
      "def tcp():\n"
      "  while True: print(\"tcp\",t.accept()[1][0],flush=True)\n"
      "threading.Thread(target=tcp).start()\n"
      "while True: print(\"udp\",u.recvfrom(99)[1][0],flush=True)' > /tmp/heard 2>&1 & "
      "for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/7777) 2>/dev/null && break; sleep 0.05; "
      "done; /tmp/attack_probe udp " +
          at + " 7777; sleep 0.2; cat /tmp/heard; : > /tmp/heard");
  EXPECT_NE(server.out.find("tcp 127.0.0.1"), std::string::npos) << server.out << server.err;
  EXPECT_NE(server.out.find("udp " + at), std::string::npos) << "the victim itself was not heard";
  knock(range, attacker, {at, "10.71.255.255", "224.0.0.1", "255.255.255.255"}, {7777});
  for (const std::string proto : {"17", "6", "1"}) {
    range.sent(attacker, "packet via=frame to=" + at + " proto=" + proto);
    // Its link-layer address, and everybody's, instead of the switch's.
    range.sent(attacker, "packet via=frame dmac=ffffffffffff to=" + at + " proto=" + proto);
    range.sent(attacker, "packet via=frame to=1.1.1.1 route=" + at + " proto=" + proto);
    range.sent(attacker, "packet via=frame from=1.1.1.1 to=" + at + " proto=" + proto);
  }
  // A route of its own, a neighbour of its own.
  const std::vector<Words> changes = {{"ip", "route", "replace", at + "/32", "dev", "eth0"},
                                      {"ip", "neigh", "replace", at, "lladdr", "02:53:4c:00:00:01",
                                       "dev", "eth0", "nud", "permanent"}};
  for (const Words& change : changes) EXPECT_EQ(range.enter(attacker, change).exit_code, 0);
  knock(range, attacker, {at}, {7777});
  EXPECT_EQ(range.emulator().run(victim, "sleep 0.2; cat /tmp/heard", "root").out, "");
}

TEST(BypassPlaces, AClosedSandboxHasNoDnsByAnyTransport) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string open = range.add_open();
  // "sent" once the question has left the socket; then the answer's length, or why there is none.
  const std::string ask =
      "import socket,struct,sys\n"
      "q=b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6canary\\7example\\3com\\0\\0\\1\\0\\1'\n"
      "where=(sys.argv[2],53)\n"
      "try:\n"
      "  if sys.argv[1]=='tcp':\n"
      "    s=socket.create_connection(where,2); s.sendall(struct.pack('>H',len(q))+q)\n"
      "  else:\n"
      "    s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(where); s.send(q)\n"
      "  print('sent',end=' ')\n"
      "  s.settimeout(2)\n"
      "  print('answer' if s.recv(512) else 'end')\n"
      "except OSError as error: print(type(error).__name__)";
  // A connection that the proxy ends: with or without having read the question, for which it does
  // not wait.
  auto ended = [](std::string text) {
    return text == "sent ConnectionResetError\n" ? std::string("sent end\n") : text;
  };
  auto run = [&](const std::string& sandbox, const std::string& how, const std::string& server) {
    auto outside = range.enter(sandbox, {"python3", "-c", ask, how, server});
    auto inside =
        range.emulator().run(sandbox, "python3 -c \"" + ask + "\" " + how + " " + server, "root");
    EXPECT_EQ(ended(inside.out), ended(outside.out)) << inside.err << outside.err;
    return ended(outside.out);
  };
  range.clear();
  for (const std::string server : {"8.8.8.8", "1.1.1.1", "169.254.1.1"}) {
    EXPECT_EQ(run(closed, "udp", server), "sent TimeoutError\n") << server;
    // The proxy takes the connection and ends it; its own address takes none.
    bool taken = server != "169.254.1.1";
    EXPECT_EQ(run(closed, "tcp", server), taken ? "sent end\n" : "TimeoutError\n") << server;
  }
  EXPECT_TRUE(range.silent());
  for (const std::string how : {"udp", "tcp"}) {
    for (const std::string server : {"8.8.8.8", "1.1.1.1"})
      EXPECT_EQ(run(open, how, server), "sent answer\n") << how << server;
  }
  EXPECT_TRUE(range.arrived("address=8.8.8.8&port=53"));
}

TEST(BypassPlaces, TheFarEndOfTheUplinkIsAnAddressLikeAnyOther) {
  AttackRange range;
  std::string closed = range.add_closed();
  std::string open = range.add_open();
  range.clear();
  for (const std::string at : {"203.0.113.1", "203.0.113.2"}) {
    knock(range, closed, {at}, {22, 80, 443, 7777});
    range.sent(closed, "packet via=ip proto=1 to=" + at);
  }
  EXPECT_TRUE(range.silent());
  EXPECT_EQ(range.inside(open, "udp 203.0.113.1 7777").exit_code, 0);
  EXPECT_TRUE(range.arrived("address=203.0.113.1&port=7777"));
}

}  // namespace
}  // namespace tests::integration
