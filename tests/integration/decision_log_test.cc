// The decision log and `explain` against the fake internet: every decision is on record with the
// rule that decided, explain says the same before a packet is sent, and DNS obeys its mode.
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "tests/integration/emulator_process.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

EmulatorProcess::Options fake(std::vector<std::string> more = {}) {
  EmulatorProcess::Options options{{"--internet", "fake"}, {}};
  options.flags.insert(options.flags.end(), more.begin(), more.end());
  return options;
}

Json network(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
  Json lists;
  lists["allowOut"] = allow;
  lists["denyOut"] = deny;
  return Json{{"network", lists}};
}

// The records of a sandbox, once one fits.
Json records(const EmulatorProcess& emulator,
             const std::string& sandbox,
             const std::function<bool(const Json&)>& fits,
             const std::string& query = "") {
  Json found;
  for (auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end;
       std::this_thread::sleep_for(20ms)) {
    found = emulator.api("GET", "/_sandlot/sandboxes/" + sandbox + "/egress" + query).json();
    if (found.is_array() && std::any_of(found.begin(), found.end(), fits)) break;
  }
  return found;
}

Json record(const EmulatorProcess& emulator,
            const std::string& sandbox,
            const std::function<bool(const Json&)>& fits) {
  Json all = records(emulator, sandbox, fits);
  auto found = std::find_if(all.begin(), all.end(), fits);
  EXPECT_NE(found, all.end()) << all.dump(1);
  return found == all.end() ? Json::object() : *found;
}

Json explain(const EmulatorProcess& emulator, const std::string& sandbox, const Json& question) {
  return emulator.api("POST", "/_sandlot/sandboxes/" + sandbox + "/explain", question).json();
}

std::uint64_t packets(const EmulatorProcess& emulator) {
  return emulator.api("GET", "/_sandlot/fakenet/canary").json().value("packets", 999ULL);
}

TEST(DecisionLog, RecordsWhatWasReachedAndHowMuchPassed) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create(network({"api.example.com"}, {"0.0.0.0/0"}));
  auto ran = emulator.run(sandbox, "curl -sS https://api.example.com/");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  Json line = record(emulator, sandbox, [](const Json& one) {
    return one["protocol"] == "tls" && one["open"] == false;
  });
  EXPECT_EQ(line["sandboxID"], sandbox);
  EXPECT_EQ(line["serverName"], "api.example.com");
  EXPECT_EQ(line["decision"], "allowed");
  EXPECT_EQ(line["matchType"], "domain");
  EXPECT_EQ(line["rule"], "allowOut[0]=api.example.com");
  EXPECT_EQ(line["dialed"], "93.184.216.35:443");
  EXPECT_GT(line["bytesOut"], 200);
  EXPECT_GT(line["bytesIn"], 500);
  EXPECT_EQ(line["closeReason"], "ended");
  EXPECT_GT(line["durationMs"], 0.0);
  Json question = record(emulator, sandbox, [](const Json& one) {
    return one.contains("dns") && one["dns"]["type"] == "A";
  });
  EXPECT_EQ(question["protocol"], "udp");
  EXPECT_EQ(question["serverName"], "api.example.com");
  EXPECT_EQ(question["destinationIP"], "8.8.8.8");
  EXPECT_EQ(question["rule"], "nameserver");
  EXPECT_EQ(question["dns"]["answer"], "NOERROR");
}

TEST(DecisionLog, SaysWhichRuleBlockedAndNothingOfIt) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string closed = emulator.create(network({"8.8.8.8"}, {"9.9.9.9", "0.0.0.0/0"}));
  std::string open = emulator.create();
  EXPECT_NE(emulator.run(closed, "curl -sS -m 5 https://1.1.1.1").exit_code, 0);
  EXPECT_EQ(emulator.run(open, "curl -sS -o /dev/null https://1.1.1.1").exit_code, 0);
  Json line = record(emulator, closed, [](const Json& one) { return one["open"] == false; });
  EXPECT_EQ(line["decision"], "blocked");
  EXPECT_EQ(line["rule"], "denyOut[1]=0.0.0.0/0");
  EXPECT_EQ(line["matchType"], "cidr");
  EXPECT_TRUE(line["dialed"].is_null());
  EXPECT_EQ(line["bytesOut"], 0);
  EXPECT_EQ(line["closeReason"], "blocked");

  auto is_open = [](const Json& one) { return one["decision"] == "allowed"; };
  EXPECT_EQ(record(emulator, open, is_open)["rule"], "default");
  EXPECT_EQ(records(emulator, closed, is_open, "?decision=allowed").size(), 0U);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/sandboxes/" + open + "/egress?decision=blocked").body,
            "[]");
  Json all = emulator.api("GET", "/_sandlot/egress").json();
  EXPECT_GE(all.size(), 2U);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/egress?decison=blocked").status, 400);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/sandboxes/nobody/egress").status, 404);

  EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + closed).status, 204);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/sandboxes/" + closed + "/egress").status, 200)
      << "the log outlives the sandbox";
  EXPECT_EQ(emulator.api("POST", "/_sandlot/reset").status, 200);
  EXPECT_EQ(emulator.api("GET", "/_sandlot/egress").body, "[]");
}

TEST(DecisionLog, ATightenedPolicyIsTheReasonForTheEnd) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  std::thread client(
      [&] { emulator.run(sandbox, "exec 3<>/dev/tcp/1.1.1.1/443; timeout 10 cat <&3"); });
  auto lives = [](const Json& one) { return one["open"] == true; };
  Json line = record(emulator, sandbox, lives);
  EXPECT_EQ(line["bytesIn"], 0);
  EXPECT_EQ(emulator.api("PUT", "/sandboxes/" + sandbox + "/network", {{"denyOut", {"0.0.0.0/0"}}})
                .status,
            204);
  client.join();
  Json after = record(emulator, sandbox, [](const Json& one) { return one["open"] == false; });
  EXPECT_EQ(after["closeReason"], "policy changed");
  EXPECT_EQ(after["id"], line["id"]);
}

// A connection that asked to follow, read as text.
class Following {
 public:
  Following(const EmulatorProcess& emulator, const std::string& path) {
    thread_ = std::thread([this, port = emulator.port(), path] {
      base::ToolSpec curl;
      curl.argv = {"curl", "-sN", "-m", "4", "http://localhost:" + std::to_string(port) + path};
      auto output = base::run_tool(curl);
      if (output) text_ = output->out;
    });
  }
  std::vector<Json> lines() {
    thread_.join();
    std::vector<Json> found;
    for (std::size_t at = 0; at < text_.size();) {
      std::size_t end = std::min(text_.find('\n', at), text_.size());
      found.push_back(Json::parse(text_.substr(at, end - at), nullptr, false));
      at = end + 1;
    }
    return found;
  }

 private:
  std::string text_;
  std::thread thread_;
};

TEST(DecisionLog, CanBeFollowedLineByLine) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create(network({}, {"9.9.9.9"}));
  std::string other = emulator.create();
  emulator.run(sandbox, "curl -s -o /dev/null http://1.1.1.1");
  Following follower(emulator, "/_sandlot/sandboxes/" + sandbox + "/egress?follow=true");
  emulator.run(other, "curl -s -o /dev/null http://1.1.1.1");
  emulator.run(sandbox, "curl -s -o /dev/null -m 3 http://9.9.9.9");
  emulator.run(sandbox, "curl -s -o /dev/null http://8.8.8.8");
  std::vector<Json> lines = follower.lines();
  std::vector<std::string> ended;
  for (const Json& line : lines) {
    ASSERT_TRUE(line.is_object());
    EXPECT_EQ(line["sandboxID"], sandbox);
    if (line["open"] == false) ended.push_back(line["destinationIP"]);
  }
  EXPECT_EQ(ended, (std::vector<std::string>{"1.1.1.1", "9.9.9.9", "8.8.8.8"}));
  EXPECT_EQ(emulator.stop(), 0) << "a follower does not keep the emulator";
}

TEST(DecisionLog, AFollowerDoesNotHoldUpTheEnd) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  Following follower(emulator, "/_sandlot/egress?follow");
  std::this_thread::sleep_for(300ms);
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(emulator.stop(), 0) << emulator.log();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_TRUE(follower.lines().empty());
}

TEST(Explain, SaysWhatWouldHappenAndSendsNothing) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox =
      emulator.create(network({"*.example.com", "8.8.4.0/24"}, {"1.0.0.0/8", "0.0.0.0/0"}));
  std::uint64_t before = packets(emulator);

  Json named = explain(emulator, sandbox, {{"url", "https://api.example.com/v1"}});
  EXPECT_EQ(named["decision"], "allowed");
  EXPECT_EQ(named["protocol"], "tls");
  EXPECT_EQ(named["rule"], "allowOut[0]=*.example.com");
  EXPECT_EQ(named["dials"], (Json{"93.184.216.35:443"}));
  EXPECT_EQ(named["dns"]["decision"], "allowed");
  EXPECT_EQ(named["dns"]["rule"], "nameserver");

  Json blocked = explain(emulator, sandbox, {{"url", "https://1.1.1.1"}});
  EXPECT_EQ(blocked["decision"], "blocked");
  EXPECT_EQ(blocked["rule"], "denyOut[0]=1.0.0.0/8");
  EXPECT_EQ(blocked["change"], "to allow it, add to allowOut: \"1.1.1.1\"");
  std::vector<std::string> trace;
  for (const Json& step : blocked["trace"]) trace.push_back(step["rule"]);
  EXPECT_EQ(trace, (std::vector<std::string>{
                       "internal", "domains of allowOut: the connection shows no name",
                       "allowOut[1]=8.8.4.0/24", "nameserver", "denyOut[0]=1.0.0.0/8"}));
  EXPECT_EQ(blocked["trace"].back()["matched"], true);

  auto decision = [&](const Json& question) {
    Json answer = explain(emulator, sandbox, question);
    return answer.value("decision", answer.dump());
  };
  EXPECT_EQ(decision({{"url", "udp://8.8.4.4:7777"}}), "allowed");
  EXPECT_EQ(decision({{"url", "udp://1.1.1.1:7777"}}), "blocked");
  EXPECT_EQ(decision({{"url", "icmp://8.8.4.4"}}), "allowed");
  EXPECT_EQ(decision({{"url", "icmp://1.1.1.1"}}), "blocked");
  EXPECT_EQ(decision({{"url", "tcp://api.example.com:22"}}), "blocked");
  EXPECT_EQ(decision({{"ip", "9.9.9.9"}, {"port", 443}, {"serverName", "api.example.com"}}),
            "allowed");
  EXPECT_EQ(decision({{"ip", "9.9.9.9"}, {"port", 443}}), "blocked");
  Json internal = explain(emulator, sandbox, {{"ip", "10.0.0.1"}, {"port", 443}});
  EXPECT_EQ(internal["matchType"], "internal");
  EXPECT_EQ(packets(emulator), before) << "nothing was sent";

  EXPECT_EQ(emulator.api("POST", "/_sandlot/sandboxes/nobody/explain", {{"url", "x:1"}}).status,
            404);
  std::string path = "/_sandlot/sandboxes/" + sandbox + "/explain";
  EXPECT_EQ(emulator.api("POST", path, {{"url", 7}}).status, 400);
  EXPECT_EQ(emulator.api("POST", path, {{"ip", "1.1.1.1"}}).status, 400);
  EXPECT_EQ(emulator.api("POST", path, {{"ip", "1.1.1.1"}, {"port", 99999}}).status, 400);
  EXPECT_EQ(emulator.api("POST", path, Json::array()).status, 400);
}

TEST(Explain, AgreesWithWhatThenHappens) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create(network({"rebind.test", "example.com"}, {"0.0.0.0/0"}));
  std::size_t count = 0;
  for (const char* url :
       {"https://example.com/", "http://example.com/", "https://github.com/", "https://1.1.1.1/"}) {
    Json said = explain(emulator, sandbox, {{"url", url}});
    emulator.run(sandbox, std::string("curl -sk -m 4 -o /dev/null ") + url);
    ++count;
    Json line;
    records(emulator, sandbox, [&](const Json&) {
      Json ended;
      for (const Json& one :
           emulator.api("GET", "/_sandlot/sandboxes/" + sandbox + "/egress").json()) {
        if (one["protocol"] != "udp" && one["open"] == false) ended.push_back(one);
      }
      if (ended.size() < count) return false;
      line = ended.back();
      return true;
    });
    EXPECT_EQ(said["decision"], line["decision"]) << url;
    EXPECT_EQ(said["rule"], line["rule"]) << url;
    EXPECT_EQ(said["matchType"], line["matchType"]) << url;
    EXPECT_EQ(said["serverName"], line["serverName"]) << url;
  }
  // A name that leads inside, shown on the way to a public address (contract-network 2.8).
  Json said =
      explain(emulator, sandbox, {{"ip", "9.9.9.9"}, {"port", 443}, {"serverName", "rebind.test"}});
  EXPECT_EQ(said["decision"], "blocked");
  EXPECT_EQ(said["rule"], "internal");
  emulator.run(sandbox, "curl -sk -m 4 --resolve rebind.test:443:9.9.9.9 https://rebind.test/");
  Json line = record(emulator, sandbox, [](const Json& one) {
    return one["serverName"] == "rebind.test" && one["open"] == false;
  });
  EXPECT_EQ(line["decision"], "blocked");
  EXPECT_EQ(line["rule"], "internal");
}

TEST(Explain, TheCommandPrintsTheVerdictAndTheRule) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create(network({}, {"0.0.0.0/0"}));
  auto sandlot = [&](std::vector<std::string> arguments) {
    base::ToolSpec spec;
    spec.argv = {emulator_binary(), "explain", "--run-dir", dir.path() / "run"};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    auto output = base::run_tool(spec);
    EXPECT_TRUE(output);
    return *output;
  };
  auto text = sandlot({sandbox, "https://example.com"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(text.out.starts_with("blocked: https://example.com (tls 93.184.216.34:443"))
      << text.out;
  EXPECT_NE(text.out.find("rule: denyOut[0]=0.0.0.0/0\n"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("cannot look the name up"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("add to allowOut: \"example.com\""), std::string::npos) << text.out;
  Json json = Json::parse(sandlot({"--json", sandbox, "udp://1.1.1.1:53"}).out, nullptr, false);
  EXPECT_EQ(json["decision"], "blocked");
  EXPECT_EQ(sandlot({"nobody", "https://example.com"}).exit_code, 1);
  EXPECT_EQ(sandlot({sandbox, "gopher://example.com:70"}).exit_code, 2);
  EXPECT_EQ(sandlot({sandbox}).exit_code, 2);
}

TEST(DnsMode, DirectQuestionsLeaveAsTheyAre) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake({"--dns-mode", "direct"}));
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create();
  EXPECT_EQ(emulator.run(sandbox, "cat /etc/resolv.conf").out, "nameserver 8.8.8.8\n");
  EXPECT_EQ(emulator.run(sandbox, "curl -sS -o /dev/null https://example.com").exit_code, 0);
  Json log = records(emulator, sandbox, [](const Json& one) { return one["open"] == false; });
  EXPECT_TRUE(
      std::none_of(log.begin(), log.end(), [](const Json& one) { return one.contains("dns"); }))
      << "nothing of ours answered: " << log.dump(1);
  auto aaaa = emulator.run(sandbox, "getent ahostsv6 nobody.invalid; echo done");
  EXPECT_EQ(aaaa.out, "done\n");
  // So nobody here can say that there is no such name.
  auto fault = emulator.api("POST", "/_sandlot/sandboxes/" + sandbox + "/faults",
                            {{"type", "dns_nxdomain"}});
  EXPECT_EQ(fault.status, 501) << fault.body;
  EXPECT_EQ(emulator.api("GET", "/_sandlot/faults").body, "[]");
  std::string closed = emulator.create(network({}, {"8.8.8.8"}));
  std::uint64_t before = packets(emulator);
  EXPECT_NE(emulator.run(closed, "curl -sS -m 3 https://example.com").exit_code, 0) << "NET-15";
  EXPECT_EQ(packets(emulator), before);
}

TEST(DnsMode, ADeniedNameserverIsDroppedAndTheForwarderHearsNothing) {
  TempDir dir;
  EmulatorProcess emulator(dir.path(), fake());
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string closed = emulator.create(network({"1.1.1.1"}, {"0.0.0.0/0"}));
  std::string open = emulator.create(network({"example.com"}, {"0.0.0.0/0"}));
  EXPECT_EQ(emulator.run(closed, "cat /etc/resolv.conf").out, "nameserver 8.8.8.8\n");
  // NET-31, and its positive control NET-29.
  std::uint64_t before = packets(emulator);
  EXPECT_NE(emulator.run(closed, "curl -sS -m 2 https://example.com").exit_code, 0);
  EXPECT_EQ(packets(emulator), before);
  EXPECT_EQ(emulator.run(open, "curl -sS -o /dev/null https://example.com").exit_code, 0);
  Json log = emulator.api("GET", "/_sandlot/sandboxes/" + closed + "/egress").json();
  EXPECT_TRUE(log.empty()) << log.dump(1);
}

TEST(DnsMode, WithoutAnInternetTheAnswerComesAtOnceInBothModes) {
  for (const char* mode : {"forward", "direct"}) {
    TempDir dir;
    EmulatorProcess emulator(dir.path(), {{"--internet", "none", "--dns-mode", mode}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(emulator.run(sandbox, "curl -sS https://example.com").exit_code, 6) << mode;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 2s) << mode;
    Json line = record(emulator, sandbox, [](const Json& one) { return one.contains("dns"); });
    EXPECT_EQ(line["dns"]["answer"], "SERVFAIL");
    Json said = explain(emulator, sandbox, {{"url", "https://1.1.1.1"}});
    EXPECT_EQ(said["decision"], "blocked");
    EXPECT_EQ(said["rule"], "no internet");
  }
}

}  // namespace
}  // namespace tests::integration
