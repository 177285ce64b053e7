#include "netfilter/slot_policy.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>

#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "emulator/base/run_tool.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"
#include "netfilter/network.h"
#include "netfilter/slot_rules.h"

namespace netfilter {

namespace {

// A file that nobody else locks: one for each thread, which runs one program at a time. It is kept,
// because making and removing one costs as much as starting a thread; it goes with the directory.
std::filesystem::path lock_file(const std::filesystem::path& directory) {
  static std::atomic<std::uint64_t> threads{0};
  thread_local const std::uint64_t number = ++threads;
  return directory / ("xtables-" + std::to_string(number) + ".lock");
}

// From inside the slot, which now has the rules that were asked for: what block() did is undone.
base::Result<> let_out() {
  SANDLOT_TRY(auto netlink, NetlinkSocket::open());
  NetlinkBatch batch;
  batch.delete_blackholes();
  return netlink.commit(batch);
}

// Without any program: nothing goes out by eth0, and nothing comes in from where there is no way
// back.
base::Result<> block(int netns_fd) {
  return run_in_netns(netns_fd, []() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch batch;
    batch.add_blackholes();
    SANDLOT_CHECK(netlink.commit(batch));
    SANDLOT_TRY(auto sysctls, NetSysctls::open());
    return sysctls.set("ipv4/conf/eth0/rp_filter", "1");
  });
}

base::Result<> load(int netns_fd, const std::string& rules, const RuleLoader& loader) {
  base::ToolSpec spec;
  spec.argv = {loader.restore_tool};
  spec.stdin_text = rules;
  spec.environment = {{"XTABLES_LOCKFILE", lock_file(loader.lock_directory).string()}};
  return run_in_netns(netns_fd, [&]() -> base::Result<> {
    SANDLOT_TRY(auto output, base::run_tool(spec));
    if (output.exit_code == 0) return let_out();
    return base::fail(base::Errc::kUnavailable, loader.restore_tool + ": " + output.err);
  });
}

// With the second way of refusing where the kernel does not have the first: worse manners, the same
// policy.
base::Result<> load_policy(int netns_fd, const Policy& policy, const RuleLoader& loader) {
  auto silent = load(netns_fd, slot_rules(policy, Refusal::kSilent), loader);
  if (silent || !policy.restricts()) return silent;
  auto plain = load(netns_fd, slot_rules(policy, Refusal::kError), loader);
  if (plain) base::log::debug("policy.no_nfqueue", {{"error", silent.error().message()}});
  return plain;
}

}  // namespace

std::string choose_slot_tool(const std::string& otherwise,
                             const std::filesystem::path& lock_directory) {
  RuleLoader legacy{"iptables-legacy-restore", lock_directory};
  base::UniqueFd scratch;
  auto works = run_on_thread([&]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("make a network namespace");
    SANDLOT_TRY(scratch, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    return {};
  });
  if (works) works = load(scratch.get(), slot_rules(Policy::closed()), legacy);
  if (works) return legacy.restore_tool;
  base::log::debug("policy.no_legacy", {{"error", works.error().message()}});
  return otherwise;
}

base::Result<> apply_slot_policy(int netns_fd, const Policy& policy, const RuleLoader& loader) {
  auto applied = load_policy(netns_fd, policy, loader);
  if (applied) return {};
  base::log::error("policy.not_applied", {{"error", applied.error().message()}});
  return base::fail(std::move(applied).error().context("network policy"));
}

base::Result<> close_slot(int netns_fd, const RuleLoader& loader) {
  // First what is sure, and at once: a program may hang for half a minute.
  auto blocked = block(netns_fd);
  if (blocked) return {};
  base::log::error("policy.not_blocked", {{"error", blocked.error().message()}});
  auto closed = load_policy(netns_fd, Policy::closed(), loader);
  if (!closed) base::log::error("policy.not_closed", {{"error", closed.error().message()}});
  return closed;
}

bool slot_rules_differ(const Policy& before, const Policy& after) {
  return slot_ranges(before) != slot_ranges(after);
}

}  // namespace netfilter
