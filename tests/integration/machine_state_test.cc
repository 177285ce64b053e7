// The machine's own network namespace is byte for byte the same before, during and after an
// emulator with sandboxes that have policies (issue "network policy", done when 5), and a kill in
// the middle of applying one leaves nothing (done when 6). The emulators run inside a namespace
// that plays the machine, so that nobody else can change it in between.
#include <signal.h>
#include <sys/stat.h>

#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/integration/emulator_process.h"
#include "tests/integration/machine.h"

namespace tests::integration {
namespace {

using namespace std::chrono_literals;

// Policies of every kind: kernel rules, names, nothing, everything.
std::vector<Json> policies() {
  return {
      Json::object(),
      {{"allow_internet_access", false}},
      {{"network", {{"denyOut", {"8.8.8.8", "1.1.1.0/24"}}}}},
      {{"network", {{"allowOut", {"example.com", "1.1.1.1"}}, {"denyOut", {"0.0.0.0/0"}}}}},
  };
}

class MachineStateIn : public testing::TestWithParam<const char*> {};

TEST_P(MachineStateIn, IsTheSameBeforeDuringAndAfter) {
  Machine machine;
  machine.run([&] {
    std::string before = machine_state();
    auto expect_same = [&](const std::string& when) {
      EXPECT_EQ(difference(before, machine_state()), "") << when;
    };
    TempDir dir;
    EmulatorProcess emulator(dir.path(), {{"--internet", GetParam(), "--pool", "2"}, {}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    expect_same("ready");
    std::vector<std::string> sandboxes;
    for (const Json& policy : policies()) {
      sandboxes.push_back(emulator.create(policy));
      ASSERT_NE(sandboxes.back(), "");
      expect_same("with " + policy.dump());
    }
    for (const std::string& sandbox : sandboxes) {
      emulator.run(sandbox, "curl -s -m 3 http://1.1.1.1; ping -c1 -W1 1.1.1.1; true");
    }
    expect_same("after traffic");
    for (const Json& policy : policies()) {
      Json lists = policy.value("network", Json::object());
      EXPECT_EQ(emulator.api("PUT", "/sandboxes/" + sandboxes[0] + "/network", lists).status, 204);
    }
    EXPECT_EQ(emulator.api("POST", "/sandboxes/" + sandboxes[1] + "/pause").status, 204);
    EXPECT_EQ(emulator.api("DELETE", "/sandboxes/" + sandboxes[2]).status, 204);
    expect_same("after changes");
    EXPECT_EQ(emulator.stop(), 0) << emulator.log();
    expect_same("after the end");
    EmulatorProcess killed(dir.path(), {{"--internet", GetParam()}, {}});
    ASSERT_TRUE(killed.ready()) << killed.log();
    EXPECT_NE(killed.create(policies()[2]), "");
    killed.kill_hard();
    expect_same("after kill -9");
    EXPECT_EQ(sandlot(dir.path(), {"gc"}).exit_code, 0);
    expect_same("after gc");
  });
}

INSTANTIATE_TEST_SUITE_P(WithoutTheMachinesNetwork,
                         MachineStateIn,
                         testing::Values("none", "fake"),
                         [](const auto& one) { return std::string(one.param); });

TEST(MachineState, TheComparisonSeesWhatThereIsToSee) {
  Machine machine;
  machine.run([&] {
    std::string before = machine_state();
    for (const char* what :
         {"/proc/sys/net/ipv4/conf/lo/rp_filter", "/proc/sys/net/ipv6/conf/all/forwarding"}) {
      std::string old = base::read_file(what).value_or("");
      ASSERT_TRUE(base::write_file(what, old == "1\n" ? "0" : "1"));
      EXPECT_NE(difference(before, machine_state()), "") << what;
      ASSERT_TRUE(base::write_file(what, old));
      EXPECT_EQ(difference(before, machine_state()), "") << what;
    }
    EXPECT_NE(before.find("other0"), std::string::npos) << "somebody's rule";
  });
}

// An iptables-restore that stops in the middle of a policy, as if it had all the time in the world,
// at an address of the test's. Everything else goes to the real one. The sleeping program is one of
// the test's directory, so that leftovers() finds it by name.
std::filesystem::path hanging_iptables(const std::filesystem::path& dir) {
  std::filesystem::path folder = dir / "bin";
  std::filesystem::create_directory(folder);
  std::string sleeper = dir / "sleeping-iptables";
  std::filesystem::copy_file("/bin/sleep", sleeper);
  for (const char* name : {"iptables-restore", "iptables-nft-restore", "iptables-legacy-restore"}) {
    std::string script = "#!/bin/sh\ntext=$(cat)\ncase $text in\n*203.0.113.77*)\n  exec " +
                         sleeper + " 600 ;;\nesac\n" + "printf '%s\\n' \"$text\" | /usr/sbin/" +
                         name + " \"$@\"\n";
    EXPECT_TRUE(base::write_file(folder / name, script));
    ::chmod((folder / name).c_str(), 0755);
  }
  return folder;
}

bool wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

bool sleeps(const std::filesystem::path& dir) {
  for (const std::string& line : leftovers(dir)) {
    auto pid = line.starts_with("process ") ? line.substr(8) : "";
    auto text = base::read_file("/proc/" + pid + "/cmdline");
    if (text && text->find("sleeping-iptables") != std::string::npos) return true;
  }
  return false;
}

class KilledInAPolicy : public testing::TestWithParam<bool> {};

TEST_P(KilledInAPolicy, LeavesNoProcessNoNamespaceNoMountAfterARestart) {
  bool at_create = GetParam();
  TempDir dir;
  std::string path = hanging_iptables(dir.path()).string() + ":" + std::getenv("PATH");
  {
    EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {{"PATH", path}}});
    ASSERT_TRUE(emulator.ready()) << emulator.log();
    std::string sandbox = emulator.create();
    ASSERT_NE(sandbox, "");
    Json lists = {{"denyOut", {"203.0.113.77"}}};  // what the program stops at
    std::thread request([&] {
      if (at_create) {
        emulator.create({{"network", lists}});
      } else {
        emulator.api("PUT", "/sandboxes/" + sandbox + "/network", lists);
      }
    });
    EXPECT_TRUE(wait_for([&] { return sleeps(dir.path()); })) << "the policy is not being applied";
    ::kill(emulator.pid(), SIGKILL);
    request.join();
    emulator.kill_hard();
    EXPECT_TRUE(wait_for([&] { return !sleeps(dir.path()); })) << "the program outlived us";
  }
  EmulatorProcess emulator(dir.path(), {{"--pool", "0"}, {}});
  ASSERT_TRUE(emulator.ready()) << emulator.log();
  std::string sandbox = emulator.create({{"network", {{"denyOut", {"1.1.1.1"}}}}});
  EXPECT_NE(sandbox, "") << emulator.log();
  EXPECT_EQ(emulator.run(sandbox, "echo works").out, "works\n");
  EXPECT_EQ(emulator.stop(), 0);
  EXPECT_EQ(leftovers(dir.path()), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(While, KilledInAPolicy, testing::Values(true, false), [](const auto& one) {
  return one.param ? "Creating" : "Changing";
});

}  // namespace
}  // namespace tests::integration
