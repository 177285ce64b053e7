#include "netfilter/network.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "emulator/base/scope_exit.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"
#include "netfilter/slot_policy.h"
#include "netfilter/switch_rules.h"

namespace netfilter {

namespace {

constexpr Ipv4 kGatewayAddress = {169, 254, 1, 1};

// A fresh namespace inherits what the machine's own has (net.core.devconf_inherit_init_net): what
// matters here is said, not assumed.
base::Result<> set_switch_sysctls(bool uplink) {
  const std::array<std::pair<const char*, const char*>, 17> settings = {{
      {"ipv6/conf/all/disable_ipv6", "1"},
      {"ipv6/conf/default/disable_ipv6", "1"},
      // Without an uplink nothing is routed: TCP and DNS end in our sockets.
      {"ipv4/ip_forward", uplink ? "1" : "0"},
      {"ipv4/conf/all/rp_filter",
       "1"},  // a link delivers only packets of its own sandbox; strict, and the
      {"ipv4/conf/default/rp_filter", "1"},  // larger of "all" and the link counts
      {"ipv4/conf/all/arp_ignore", "8"},     // neighbours are permanent; no question is answered
      {"ipv4/conf/default/arp_ignore", "8"},
      {"ipv4/conf/all/accept_redirects", "0"},
      {"ipv4/conf/default/accept_redirects", "0"},
      {"ipv4/conf/all/send_redirects", "0"},
      {"ipv4/conf/default/send_redirects", "0"},
      {"ipv4/conf/all/route_localnet", "0"},
      {"ipv4/conf/default/route_localnet", "0"},
      {"ipv4/conf/all/accept_source_route", "0"},
      {"ipv4/conf/all/accept_local", "0"},
      {"ipv4/conf/all/proxy_arp", "0"},
      {"ipv4/conf/default/proxy_arp", "0"},
  }};
  SANDLOT_TRY(auto sysctls, NetSysctls::open());
  for (const auto& [name, value] : settings) SANDLOT_CHECK(sysctls.set(name, value));
  return {};
}

// Both ends of a connection are here or one link away: nothing of one that has ended is under way
// for two minutes, and all sandboxes share the table. A kernel that keeps its two minutes works.
void forget_connections_soon() {
  auto set = [](const NetSysctls& sysctls) {
    return sysctls.set("netfilter/nf_conntrack_tcp_timeout_time_wait", "5");
  };
  auto done = NetSysctls::open().and_then(set);
  if (!done) base::log::debug("switch.time_wait", {{"error", done.error().message()}});
}

base::Result<> set_addresses() {
  SANDLOT_TRY(auto netlink, NetlinkSocket::open());
  NetlinkBatch batch;
  batch.set_link_up(kLoopbackIndex);
  batch.add_address(kLoopbackIndex, kGatewayAddress, 32);
  return netlink.commit(batch);
}

// Loads `rules` with the first program that can. The two back-ends (nft and legacy) read the same
// text; a kernel may support only one of them, and plain iptables-restore may name the other.
base::Result<std::string> restore(const std::string& family,
                                  const std::string& rules,
                                  const std::filesystem::path& lock_file) {
  std::string reasons;
  for (std::string backend : {"", "-nft", "-legacy"}) {
    base::ToolSpec spec;
    spec.argv = {family + backend + "-restore"};
    spec.stdin_text = rules;
    // The legacy back-end locks one file for the whole machine, whatever the namespace.
    spec.environment = {{"XTABLES_LOCKFILE", lock_file.string()}};
    auto output = base::run_tool(spec);
    if (output && output->exit_code == 0) return spec.argv[0];
    if (!reasons.empty()) reasons += "; ";
    reasons += output ? spec.argv[0] + ": " + output->err : output.error().message();
  }
  return base::fail(base::Errc::kUnavailable, "no iptables could load the rules: " + reasons);
}

std::size_t count_links(std::string_view net_dev) {
  std::size_t links = 0;
  for (std::size_t at = 0; at < net_dev.size();) {
    std::size_t end = std::min(net_dev.find('\n', at), net_dev.size());
    std::string_view line = net_dev.substr(at, end - at);
    at = end + 1;
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    std::string_view name = line.substr(0, line.find(':'));
    if (name.size() >= 2 && name[0] == 's' && name[1] >= '0' && name[1] <= '9') ++links;
  }
  return links;
}

std::size_t count_rules(std::string_view saved) {
  std::size_t rules = saved.starts_with("-A ") ? 1 : 0;
  for (std::size_t at = saved.find("\n-A "); at != std::string_view::npos;
       at = saved.find("\n-A ", at + 1)) {
    ++rules;
  }
  return rules;
}

}  // namespace

SwitchNamespace::SwitchNamespace(base::UniqueFd fd,
                                 std::filesystem::path mount,
                                 SwitchPorts ports,
                                 std::string restore_tool,
                                 std::string slot_restore_tool)
    : fd_(std::move(fd)),
      mount_(std::move(mount)),
      ports_(ports),
      restore_tool_(std::move(restore_tool)),
      slot_restore_tool_(std::move(slot_restore_tool)) {}

SwitchNamespace::~SwitchNamespace() {
  unpin_namespace(mount_);
}

base::Result<std::unique_ptr<SwitchNamespace>> SwitchNamespace::create(
    const std::filesystem::path& run_dir, SwitchPorts ports, bool uplink) {
  base::UniqueFd fd;
  std::string tool;
  std::filesystem::path mount = run_dir / "switch.netns";
  base::ScopeExit undo([&] { unpin_namespace(mount); });
  auto made = run_on_thread([&]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("make a network namespace");
    SANDLOT_TRY(fd, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    SANDLOT_CHECK(set_switch_sysctls(uplink));
    SANDLOT_CHECK(set_addresses());
    auto lock_file = run_dir / "xtables.lock";
    SANDLOT_TRY(tool, restore("iptables", switch_rules(ports, uplink), lock_file));
    forget_connections_soon();  // exists once there are rules that track connections
    // IPv6 is off in here; the rules are for the day somebody switches it on.
    auto ipv6 = restore("ip6tables", switch_rules_ipv6(), lock_file);
    if (!ipv6) base::log::debug("switch.no_ip6tables", {{"error", ipv6.error().message()}});
    return pin_namespace(mount);
  });
  if (!made) return base::fail(std::move(made).error().context("switch namespace"));
  undo.release();
  std::string slot_tool = choose_slot_tool(tool, run_dir);
  std::unique_ptr<SwitchNamespace> owner(
      new SwitchNamespace(std::move(fd), mount, ports, tool, slot_tool));
  return owner;
}

base::Result<NetworkCounts> count_network(const SwitchNamespace& network) {
  NetworkCounts counts;
  auto counted = run_in_netns(network.fd(), [&]() -> base::Result<> {
    SANDLOT_TRY(std::string devices, base::read_file("/proc/thread-self/net/dev"));
    counts.links = count_links(devices);
    std::string tool = network.restore_tool();
    base::ToolSpec spec;
    spec.argv = {tool.substr(0, tool.rfind("-restore")) + "-save"};
    SANDLOT_TRY(auto saved, base::run_tool(spec));
    if (saved.exit_code != 0)
      return base::fail(base::Errc::kUnavailable, spec.argv[0] + ": " + saved.err);
    counts.rules = count_rules(saved.out);
    return {};
  });
  if (!counted) return base::fail(std::move(counted).error());
  return counts;
}

}  // namespace netfilter
