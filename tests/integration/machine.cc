#include "tests/integration/machine.h"

#include <fcntl.h>
#include <sched.h>

#include <array>
#include <sstream>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"
#include "netfilter/network.h"

namespace tests::integration {

namespace {

constexpr int kWan = 70;
constexpr int kFarWan = 71;
constexpr netfilter::Ipv4 kNear = {192, 0, 2, 2};
constexpr netfilter::Ipv4 kFar = {192, 0, 2, 1};

// Somebody else's, which must neither be in the way nor be touched.
constexpr const char* kOthersRules =
    "*mangle\n-A PREROUTING -i other0 -j ACCEPT\nCOMMIT\n"
    "*nat\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
    "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -o docker0 -j ACCEPT\n"
    "-A INPUT -i other0 -m comment --comment \"sandlot: not ours\" -j DROP\nCOMMIT\n";

base::Result<> prepare() {
  SANDLOT_TRY(auto sysctls, netfilter::NetSysctls::open());
  SANDLOT_CHECK(sysctls.set("ipv4/ip_forward", "0"));
  // A link-local address is there at once, not "tentative" for a second.
  SANDLOT_CHECK(sysctls.set("ipv6/conf/default/accept_dad", "0"));
  SANDLOT_TRY(auto netlink, netfilter::NetlinkSocket::open());
  netfilter::NetlinkBatch batch;
  batch.set_link_up(netfilter::kLoopbackIndex);
  SANDLOT_CHECK(netlink.commit(batch));
  base::ToolSpec spec;
  spec.argv = {"iptables-restore"};
  spec.stdin_text = kOthersRules;
  SANDLOT_TRY(auto output, base::run_tool(spec));
  if (output.exit_code != 0) return base::fail(base::Errc::kUnavailable, output.err);
  return {};
}

}  // namespace

std::string machine_state() {
  base::ToolSpec spec;
  spec.argv = {SANDLOT_MACHINE_STATE};
  auto output = base::run_tool(spec);
  EXPECT_TRUE(output && output->exit_code == 0 && output->out.size() > 1000);
  return output ? output->out : "";
}

std::string difference(const std::string& before, const std::string& after) {
  if (before == after) return {};
  std::istringstream left(before);
  std::istringstream right(after);
  std::string a;
  std::string b;
  while (std::getline(left, a) && std::getline(right, b)) {
    if (a != b) return "- " + a + "\n+ " + b + "\n";
  }
  return "one is longer than the other: " + std::to_string(before.size()) + ", " +
         std::to_string(after.size());
}

Machine::Machine() {
  auto made = netfilter::run_on_thread([this]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("unshare");
    SANDLOT_TRY(netns_, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    return prepare();
  });
  EXPECT_TRUE(made) << made.error().message();
}

void Machine::run(const std::function<void()>& work) const {
  auto ran = netfilter::run_in_netns(netns_.get(), [&]() -> base::Result<> {
    work();
    return {};
  });
  EXPECT_TRUE(ran) << ran.error().message();
}

void Machine::connect_to(const std::filesystem::path& netns) const {
  auto far = base::open_file(netns, O_RDONLY);
  ASSERT_TRUE(far) << far.error().message();
  auto commit = [](int where, const netfilter::NetlinkBatch& batch) {
    auto done = netfilter::run_in_netns(where, [&]() -> base::Result<> {
      SANDLOT_TRY(auto netlink, netfilter::NetlinkSocket::open());
      return netlink.commit(batch);
    });
    EXPECT_TRUE(done) << done.error().message();
  };
  netfilter::NetlinkBatch near;
  near.add_veth({"wan", kWan, {2, 0, 0, 0, 0, 1}}, {"wan", kFarWan, {2, 0, 0, 0, 0, 2}},
                far->get());
  near.add_address(kWan, kNear, 30);
  near.add_neighbour(kWan, kFar, {2, 0, 0, 0, 0, 2});
  commit(netns_.get(), near);
  netfilter::NetlinkBatch there;
  there.set_link_up(kFarWan);
  there.add_address(kFarWan, kFar, 30);
  there.add_neighbour(kFarWan, kNear, {2, 0, 0, 0, 0, 1});
  commit(far->get(), there);
  netfilter::NetlinkBatch route;
  route.add_default_route(kWan, kFar);
  commit(netns_.get(), route);
}

}  // namespace tests::integration
