// `--internet fake` with real sandboxes: what is listed answers, what is not fails at once,
// everything is on record, and nothing of it is left on the machine.
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/integration/emulator_process.h"
#include "tests/integration/machine.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

EmulatorProcess::Options fake(const std::string& file = "") {
  return {{"--internet", file.empty() ? "fake" : "fake:" + file}, {}};
}

// Sum over what arrived at an address and port.
std::uint64_t packets(const EmulatorProcess& emulator, const std::string& address, int port) {
  Json canary = emulator
                    .api("GET", "/_sandlot/fakenet/canary?address=" + address +
                                    "&port=" + std::to_string(port))
                    .json();
  return canary.value("packets", std::uint64_t{999});
}

TEST(FakeInternet, CurlFromASandboxArrivesAndTheCanarySawIt) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  EXPECT_EQ(packets(emulator, "93.184.216.35", 443), 0U);
  auto https = emulator.run(sandbox, "curl -sS https://api.example.com/v1?x=1");
  EXPECT_EQ(https.out,
            "server-ip=93.184.216.35 port=443 scheme=https host=api.example.com method=GET "
            "path=/v1 body-bytes=0\n")
      << https.err;
  Json canary =
      emulator.api("GET", "/_sandlot/fakenet/canary?address=93.184.216.35&protocol=tcp").json();
  EXPECT_EQ(canary["counters"][0]["syns"], 1);
  EXPECT_EQ(canary["accepts"], 1);
  EXPECT_GT(canary["bytes"], 100);
  EXPECT_EQ(canary["lost"], 0);
  std::vector<std::string> kinds;
  for (const Json& event : canary["events"]) kinds.push_back(event["kind"]);
  EXPECT_EQ(kinds, (std::vector<std::string>{"syn", "accept", "data", "request"}));
  EXPECT_EQ(canary["events"][3]["text"], "GET https://api.example.com/v1?x=1");

  EXPECT_EQ(emulator.api("DELETE", "/_sandlot/fakenet/canary").status, 200);
  EXPECT_EQ(packets(emulator, "93.184.216.35", 443), 0U);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/fakenet/canary?adress=1.1.1.1").status, 400)
      << "a mistyped filter must not look like silence";
}

TEST(FakeInternet, AnswersWhatThePublicTestsExpect) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  auto status = [&](const std::string& url) {
    return emulator.run(sandbox, "curl -s -o /dev/null -w '%{http_code}' " + url).out;
  };
  EXPECT_EQ(status("https://1.1.1.1"), "301");
  EXPECT_EQ(status("http://1.1.1.1"), "301");
  EXPECT_EQ(status("https://8.8.8.8"), "302");
  EXPECT_EQ(status("https://connectivitycheck.gstatic.com/generate_204"), "204");
  EXPECT_EQ(status("https://deep.down.mydomain.com"), "200");
  EXPECT_EQ(emulator.run(sandbox, "ping -c1 -W2 1.1.1.1 >/dev/null && echo pong").out, "pong\n");
  auto python = emulator.run(
      sandbox,
      "python3 -c \"import urllib.request as u; print(u.urlopen('https://github.com/').status)\"");
  EXPECT_EQ(python.out, "200\n") << python.err;
}

TEST(FakeInternet, ANameThatIsNotListedFailsAtOnce) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  auto start = std::chrono::steady_clock::now();
  auto ran = emulator.run(sandbox, "curl -sS https://nobody.invalid");
  EXPECT_EQ(ran.exit_code, 6) << ran.err;  // could not resolve
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
}

TEST(FakeInternet, AFileAddsHostsAnswersDelaysAndResets) {
  TempDir dir;
  std::string file = dir.path() / "hosts.json";
  ASSERT_TRUE(base::write_file(file, R"({"hosts": [
    {"names": ["api.acme.test"], "ports": {"443": "https", "5432": {"type": "banner", "text": "pg\n"}},
     "routes": [{"path": "/users", "status": 201, "json": [{"id": 1}]},
                {"path": "/slow", "delayMs": 300}, {"path": "/broken", "reset": true}]}],
    "dns": {"broken.acme.test": {"rcode": "SERVFAIL"}}})"));
  EmulatorProcess emulator(dir.path(), fake(file));
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  EXPECT_EQ(emulator.run(sandbox, "curl -sS https://api.acme.test/users").out, "[{\"id\":1}]");
  auto slow = emulator.run(
      sandbox, "curl -sS -o /dev/null -w '%{time_starttransfer}' https://api.acme.test/slow");
  EXPECT_GE(std::atof(slow.out.c_str()), 0.3);
  EXPECT_NE(emulator.run(sandbox, "curl -sS https://api.acme.test/broken").exit_code, 0);
  auto banner = emulator.run(sandbox, "exec 3<>/dev/tcp/api.acme.test/5432; head -1 <&3");
  EXPECT_EQ(banner.out, "pg\n") << banner.err;
  EXPECT_EQ(emulator.run(sandbox, "curl -sS https://broken.acme.test").exit_code, 6);
  EXPECT_EQ(emulator.run(sandbox, "curl -sS -o /dev/null https://example.com").exit_code, 0)
      << "the built-in hosts are still there";
}

TEST(FakeInternet, AFileMayBeToml) {
  TempDir dir;
  std::string file = dir.path() / "hosts.toml";
  ASSERT_TRUE(base::write_file(file, R"(
[[hosts]]
names = ["api.acme.test"]
[[hosts.routes]]
path = "/users"
status = 201
json = [{id = 1}]
)"));
  EmulatorProcess emulator(dir.path(), fake(file));
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  EXPECT_EQ(emulator.run(sandbox, "curl -sS https://api.acme.test/users").out, "[{\"id\":1}]");
}

TEST(FakeInternet, UdpAndIcmpArriveWhenThePolicyLetsThemAndNotOtherwise) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string open = emulator.create();
  std::string closed = emulator.create({{"network", {{"denyOut", {"1.1.1.1", "9.9.9.0/24"}}}}});
  auto send = [&](const std::string& sandbox, const std::string& address) {
    std::string python =
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(1)\n"
        "try:\n  s.sendto(b'hello', ('" +
        address + "', 7777))\n  print(s.recv(99).decode())\nexcept OSError: print('silence')";
    auto ran = emulator.run(sandbox, "python3 -c \"" + python + "\"; ping -c1 -W1 " + address +
                                         " >/dev/null && echo pong");
    return ran.out;
  };
  auto icmp = [&](const std::string& address) {
    return emulator.api("GET", "/_sandlot/fakenet/canary?protocol=icmp&address=" + address)
        .json()
        .value("packets", 999);
  };
  // The ones that may: the proof that something would have arrived.
  for (const char* address : {"1.1.1.1", "9.9.9.9"}) {
    EXPECT_EQ(send(open, address), "hello\npong\n") << address;
    EXPECT_EQ(packets(emulator, address, 7777), 1U) << address;
    EXPECT_EQ(icmp(address), 1) << address;
  }
  EXPECT_EQ(emulator.api("DELETE", "/_sandlot/fakenet/canary").status, 200);
  for (const char* address : {"1.1.1.1", "9.9.9.9"}) {
    EXPECT_EQ(send(closed, address), "silence\n") << address;
    EXPECT_EQ(packets(emulator, address, 7777), 0U) << address;
    EXPECT_EQ(icmp(address), 0) << address;
  }
  EXPECT_EQ(send(closed, "8.8.8.8"), "hello\npong\n");
  EXPECT_EQ(packets(emulator, "8.8.8.8", 7777), 1U);
  // An address whose every port is closed, and a private one behind which something would answer.
  EXPECT_EQ(send(open, "203.0.113.200"), "silence\npong\n");
  EXPECT_EQ(send(open, "10.200.0.1"), "silence\n");
  EXPECT_EQ(packets(emulator, "10.200.0.1", 7777), 0U);
}

TEST(FakeInternet, WithDirectDnsTheSandboxItselfAsksTheResolver) {
  TempDir dir;
  auto options = fake();
  options.flags.insert(options.flags.end(), {"--dns-mode", "direct"});
  EmulatorProcess emulator(dir.path(), options);
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  EXPECT_EQ(emulator.run(sandbox, "curl -sS -o /dev/null -w '%{http_code}' http://example.com").out,
            "200");
  EXPECT_GT(packets(emulator, "8.8.8.8", 53), 0U);
  std::string closed = emulator.create({{"network", {{"denyOut", {"8.8.8.8"}}}}});
  EXPECT_EQ(emulator.api("DELETE", "/_sandlot/fakenet/canary").status, 200);
  EXPECT_EQ(emulator.run(closed, "timeout 2 getent hosts example.com").out, "");
  EXPECT_EQ(packets(emulator, "8.8.8.8", 53), 0U);
}

TEST(FakeInternet, AFileThatIsWrongIsExitStatusFiveAndNamesThePlace) {
  TempDir dir;
  std::string file = dir.path() / "hosts.json";
  ASSERT_TRUE(base::write_file(file, R"({"hosts": [{"names": ["a.test"], "prots": {}}]})"));
  EmulatorProcess emulator(dir.path(), fake(file));
  EXPECT_FALSE(emulator.ready());
  EXPECT_EQ(emulator.stop(), 5) << emulator.log();
  EXPECT_NE(emulator.log().find("hosts[0]: unknown key 'prots'"), std::string::npos)
      << emulator.log();
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(FakeInternet, AStartThatFailsLaterTakesItDownAgain) {
  TempDir dir;
  TempDir second_dir;
  EmulatorProcess first(dir.path(), fake());
  ASSERT_TRUE(first.ready()) << first.log();
  EmulatorProcess::Options same_port = fake();
  same_port.flags.insert(same_port.flags.end(), {"--port", std::to_string(first.port())});
  EmulatorProcess second(second_dir.path(), same_port);
  EXPECT_EQ(second.stop(), 3) << second.log();
  EXPECT_EQ(leftovers(second_dir.path()), std::vector<std::string>());
}

TEST(FakeInternet, TwoOnOneMachineSeeOnlyTheirOwn) {
  TempDir dir;
  TempDir second_dir;
  EmulatorProcess first(dir.path(), fake());
  EmulatorProcess second(second_dir.path(), fake());
  ASSERT_TRUE(first.ready() && second.ready());
  std::string sandbox = first.create();
  first.run(sandbox, "curl -s http://example.com");
  EXPECT_EQ(packets(first, "93.184.216.34", 80), 1U);
  EXPECT_EQ(packets(second, "93.184.216.34", 80), 0U);
}

TEST(FakeInternet, LeavesTheMachinesOwnNamespaceAsItWas) {
  TempDir dir;
  std::string before = machine_state();
  {
    EmulatorProcess emulator(dir.path(), fake());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    EXPECT_EQ(emulator.run(sandbox, "curl -sS -o /dev/null https://example.com").exit_code, 0);
    EXPECT_EQ(difference(before, machine_state()), "") << "while it runs";
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  }
  EXPECT_EQ(difference(before, machine_state()), "");
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(FakeInternet, AKilledOneIsCollectedByTheNextStart) {
  TempDir dir;
  {
    EmulatorProcess emulator(dir.path(), fake());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    EXPECT_NE(emulator.create(), "");
    emulator.kill_hard();
  }
  bool pinned = false;
  for (const std::string& line : leftovers(dir.path()))
    pinned = pinned || line.find("internet.netns") != std::string::npos;
  EXPECT_TRUE(pinned) << "the test looks at the wrong thing";
  {
    EmulatorProcess emulator(dir.path());
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    EXPECT_EQ(emulator.stop(), 0);
  }
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

TEST(FakeInternet, ResetForgetsWhatArrived) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  emulator.run(sandbox, "curl -s http://example.com");
  EXPECT_EQ(packets(emulator, "93.184.216.34", 80), 1U);
  EXPECT_EQ(emulator.api("POST", "/_sandlot/reset").status, 200);
  EXPECT_EQ(packets(emulator, "93.184.216.34", 80), 0U);
}

TEST(FakeInternet, WithoutItNothingAnswersAndTheControlApiSaysWhy) {
  TempDir dir;
  EmulatorProcess emulator(dir.path());  // --internet none
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(emulator.run(sandbox, "curl -sS https://example.com").exit_code, 6);
  EXPECT_NE(emulator.run(sandbox, "curl -sS http://93.184.216.34").exit_code, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  HttpAnswer answer = emulator.api("GET", "/_sandlot/fakenet/canary");
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("--internet fake"), std::string::npos) << answer.body;
  // Its authority is not trusted here, whatever an earlier emulator with this directory made.
  EXPECT_EQ(emulator.run(sandbox, "grep -l 'Sandlot fake' -r /etc/ssl/certs /etc/profile.d").out,
            "");
}

}  // namespace
}  // namespace tests::integration
