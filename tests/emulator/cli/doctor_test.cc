#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"
#include "emulator/cli/doctor_host.h"
#include "emulator/cli/doctor_kernel.h"
#include "emulator/cli/doctor_network.h"
#include "emulator/cli/doctor_report.h"
#include "emulator/cli/doctor_volumes.h"

namespace emulator::cli {
namespace {

using ::testing::HasSubstr;

const Check* find(const Checks& checks, const std::string& id) {
  for (const Check& check : checks) {
    if (check.id == id) return &check;
  }
  return nullptr;
}

TEST(DoctorReport, AFailureIsCountedAndItsCommandPrinted) {
  const Checks checks = {ok("a", "fine"), warn("bb", "less", "do this"),
                         fail("c", "no", "do that")};
  const std::string text = format_for_people(checks, false);
  EXPECT_THAT(text, HasSubstr("ok    a   fine\n"));
  EXPECT_THAT(text, HasSubstr("warn  bb  less\n"));
  EXPECT_THAT(text, HasSubstr("to mend: do that\n"));
  EXPECT_THAT(text, HasSubstr("1 ok, 1 warnings, 1 failures: sandlot serve cannot work"));
  EXPECT_THAT(format_as_json(checks), HasSubstr("\"ok\": false"));
  EXPECT_THAT(format_as_json({ok("a", "fine")}), HasSubstr("\"ok\": true"));
}

TEST(DoctorReport, ChecksComeBackFromTheChild) {
  const Checks checks = in_child("id", [] { return Checks{warn("x", "caf\xc3\xa9 \xff", "y")}; });
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_EQ(checks[0].verdict, Verdict::kWarn);
  EXPECT_EQ(checks[0].fix, "y");
}

TEST(DoctorReport, AChildThatCrashesOrHangsIsAFailure) {
  const Checks crashed = in_child("id", []() -> Checks { ::_exit(3); });
  ASSERT_EQ(crashed.size(), 1U);
  EXPECT_EQ(crashed[0].verdict, Verdict::kFail);
  const Checks late = in_child(
      "id",
      []() -> Checks {
        ::pause();
        return {};
      },
      std::chrono::seconds(1));
  EXPECT_THAT(late[0].detail, HasSubstr("did not end within 1 s"));
}

TEST(DoctorVolumes, SaysWhatQuotasNeedAndHowToGetIt) {
  const Checks checks = check_volumes();
  for (const Check& check : checks) {
    EXPECT_THAT(check.id, HasSubstr("volumes"));
    EXPECT_NE(check.verdict, Verdict::kFail) << "the rest works without";
    EXPECT_EQ(check.fix.empty(), check.verdict == Verdict::kOk);
  }
}

// What the machine has in these places must be the same afterwards.
std::string machine() {
  std::string text = base::read_file("/proc/self/mountinfo").value_or("");
  for (const char* directory : {"/var/lib", "/sys/class/net"}) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      text += entry.path().string() + "\n";
    }
  }
  return text;
}

TEST(Doctor, TriesTheKernelAndLeavesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string before = machine();
  const Checks checks = check_kernel("/var/lib/sandlot-that-is-not-there");
  for (const char* id :
       {"kernel.namespaces", "kernel.proc", "kernel.mount-api", "kernel.overlay", "kernel.idmap"}) {
    const Check* check = find(checks, id);
    ASSERT_NE(check, nullptr) << id;
    EXPECT_EQ(check->verdict, Verdict::kOk) << id << ": " << check->detail;
  }
  EXPECT_EQ(machine(), before);
}

TEST(Doctor, TriesTheNetworkAndLeavesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string before = machine();
  const Checks checks = check_network(config::Options());
  ASSERT_NE(find(checks, "network.veth"), nullptr) << format_as_json(checks);
  EXPECT_EQ(find(checks, "network.iptables")->verdict, Verdict::kOk);
  EXPECT_THAT(find(checks, "network.iptables")->detail, HasSubstr(" flavour) loads the rules"));
  EXPECT_EQ(find(checks, "network.veth")->verdict, Verdict::kOk)
      << find(checks, "network.veth")->detail;
  ASSERT_NE(find(checks, "internet.host"), nullptr) << format_as_json(checks);
  EXPECT_EQ(find(checks, "internet.host")->verdict, Verdict::kOk)
      << find(checks, "internet.host")->detail;
  EXPECT_EQ(machine(), before);
}

TEST(Doctor, LooksForTheNamespaceThatIsTheInternet) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  config::Options options;
  options.internet = config::Internet::kNetns;
  options.internet_netns = "no-such-namespace";
  const Checks checks = check_network(options);
  ASSERT_NE(find(checks, "internet.netns"), nullptr) << format_as_json(checks);
  EXPECT_EQ(find(checks, "internet.netns")->verdict, Verdict::kFail);
  EXPECT_THAT(find(checks, "internet.netns")->fix, HasSubstr("ip netns add"));
}

TEST(Doctor, ADataDirectoryWhereNoOverlayCanBeIsAFailureWithAWayOut) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const Checks checks = check_kernel("/proc/nonexistent");
  EXPECT_THAT(format_as_json(checks), HasSubstr("--data-dir"));
  EXPECT_THAT(format_as_json(checks), HasSubstr("\"fail\""));
}

TEST(Doctor, APortThatIsTakenNamesWhoToAsk) {
  config::Options options;
  options.run_dir = "/tmp/sandlot-test-" + base::random_id(8);
  options.port = 0;
  EXPECT_EQ(check_ports(options)[0].verdict, Verdict::kOk);
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  options.port = ntohs(address.sin_port);
  const Check check = check_ports(options)[0];
  EXPECT_EQ(check.verdict, Verdict::kFail);
  EXPECT_THAT(check.fix, HasSubstr("ss -lntup"));
}

TEST(Doctor, EveryWarningAndFailureHasACommand) {
  Checks checks = check_base_tools();
  for (const Checks& more :
       {check_limits(), check_cgroups(), check_disk("/var/lib/sandlot"),
        Checks{check_privilege(), check_merged_usr(), check_names("localhost")}}) {
    checks.insert(checks.end(), more.begin(), more.end());
  }
  for (const Check& check : checks) {
    EXPECT_EQ(check.verdict == Verdict::kOk, check.fix.empty()) << check.id;
    EXPECT_FALSE(check.detail.empty()) << check.id;
  }
}

}  // namespace
}  // namespace emulator::cli
