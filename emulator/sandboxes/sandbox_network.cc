// LocalSandboxService: what may leave a sandbox, and who may come in.
#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/log_budget.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/local_sandbox_service.h"
#include "netfilter/slot_policy.h"
#include "netfilter/slot_rules.h"

namespace emulator::sandboxes {

namespace cloud = fakeapi::cloud;
using base::Errc;

// fakeapi/cloud has checked the lists already; this is the check that counts.
base::Result<LocalSandboxService::PolicyPtr> LocalSandboxService::compile(
    const std::optional<cloud::NetworkOptions>& network,
    std::optional<bool> allow_internet_access) {
  netfilter::PolicyLists lists;
  if (network) {
    lists.allow_out = network->allow_out.value_or(std::vector<std::string>());
    lists.deny_out = network->deny_out.value_or(std::vector<std::string>());
  }
  lists.internet_access = allow_internet_access.value_or(true);
  SANDLOT_TRY(netfilter::Policy policy, netfilter::Policy::compile(lists));
  // One line a policy, however long its lists, and not for each of many creates.
  static base::LogBudget lines;
  if (!policy.ineffective().empty()) {
    if (auto skipped = lines.take()) {
      base::log::warn("policy.no_effect", {{"entry", policy.ineffective().front()},
                                           {"entries", std::to_string(policy.ineffective().size())},
                                           {"skipped", *skipped}});
    }
  }
  return std::make_shared<const netfilter::Policy>(std::move(policy));
}

base::Task<> LocalSandboxService::apply_policy(const SlotLease& slot,
                                               PolicyPtr before,
                                               PolicyPtr after) {
  if (hooks_.open_for_datagrams && netfilter::may_send_datagrams(*after))
    co_await hooks_.open_for_datagrams();
  if (before && !netfilter::slot_rules_differ(*before, *after)) co_return base::Result<>();
  if (!hooks_.apply_policy) {
    co_return base::fail(Errc::kUnimplemented, "network policy cannot be enforced here");
  }
  co_return co_await hooks_.apply_policy(slot.netns(), std::move(after));
}

base::Task<> LocalSandboxService::change_policy(SandboxPtr sandbox, PolicyPtr policy) {
  const std::string id = sandbox->info.sandbox_id;
  sandbox->policy_changing = true;
  base::ScopeExit changed([&] {
    sandbox->policy_changing = false;
    sandbox->settled.cancel();
  });
  base::Result<> applied;
  // Without memory it has no slot; the one that it gets will have its rules.
  if (sandbox->container) {
    applied = co_await apply_policy(sandbox->slot, sandbox->policy_in_kernel, policy);
  }
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  sandbox->policy_in_kernel = applied ? policy : nullptr;
  sandbox->policy = applied
                        ? std::move(policy)
                        : std::make_shared<const netfilter::Policy>(netfilter::Policy::closed());
  hooks_.policy_changed(id);
  // The proxy first, at once; it is this process, and nothing of it can fail.
  if (!applied && hooks_.close_slot) (void)co_await hooks_.close_slot(sandbox->slot.netns());
  co_return applied;
}

base::Task<> LocalSandboxService::change_network(SandboxPtr sandbox, cloud::NetworkOptions change) {
  if (change.allow_out || change.deny_out) {
    std::optional<cloud::NetworkOptions> wanted =
        cloud::merged(sandbox->info.network.value_or(cloud::NetworkOptions()), change);
    SANDLOT_CO_TRY(PolicyPtr policy, compile(wanted, sandbox->info.allow_internet_access));
    SANDLOT_CO_CHECK(co_await change_policy(sandbox, std::move(policy)));
  }
  sandbox->info.network =
      cloud::merged(sandbox->info.network.value_or(cloud::NetworkOptions()), change);
  show_ingress(*sandbox);
  compile_rules(*sandbox);
  co_return base::Result<>();
}

base::Task<> LocalSandboxService::thaw_changed(SandboxPtr sandbox,
                                               std::chrono::seconds lifetime,
                                               std::optional<NetworkBefore> before) {
  auto thawed = co_await thaw(sandbox, lifetime);
  if (thawed || !before || sandbox->state != State::kPaused) co_return thawed;
  // The row says what was before: so must everything else.
  if (sandbox->policy != before->policy) {
    auto restored = co_await change_policy(sandbox, std::move(before->policy));
    if (!restored) {
      base::log::error("network.not_restored", {{"sandbox", sandbox->info.sandbox_id},
                                                {"error", restored.error().message()}});
    }
  }
  sandbox->info.network = std::move(before->network);
  show_ingress(*sandbox);
  compile_rules(*sandbox);
  co_return thawed;
}

base::Task<> LocalSandboxService::set_network(std::string id,
                                              cloud::NetworkOptions network,
                                              std::optional<bool> allow_internet_access) {
  std::optional<cloud::NetworkOptions> wanted(std::move(network));
  SANDLOT_CO_TRY(PolicyPtr policy, compile(wanted, allow_internet_access));
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  SANDLOT_CO_CHECK(co_await change_policy(sandbox, std::move(policy)));
  // Only what leaves is replaced (contract-network 2.2).
  if (sandbox->info.network) {
    wanted->allow_public_traffic = sandbox->info.network->allow_public_traffic;
    wanted->mask_request_host = sandbox->info.network->mask_request_host;
  }
  sandbox->info.network = std::move(wanted);
  sandbox->info.allow_internet_access = allow_internet_access;
  compile_rules(*sandbox);
  co_return base::Result<>();
}

std::shared_ptr<const intercept::HeaderRules> LocalSandboxService::rules_of(
    std::string_view id) const {
  auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : found->second->rules;
}

void LocalSandboxService::make_traffic_token(Sandbox& sandbox) {
  if (sandbox.traffic_token.empty()) sandbox.traffic_token = base::make_access_token();
}

void LocalSandboxService::show_ingress(Sandbox& sandbox) {
  const cloud::NetworkOptions network = sandbox.info.network.value_or(cloud::NetworkOptions());
  if (network.is_private()) make_traffic_token(sandbox);
  sandbox.info.traffic_access_token = network.is_private() ? sandbox.traffic_token : "";
  bool was_public = sandbox.ingress->traffic_token.empty();
  sandbox.ingress->traffic_token = sandbox.info.traffic_access_token;
  // WebSockets and long answers that began without a token.
  if (was_public && !sandbox.ingress->traffic_token.empty()) sandbox.connections->cut_public();
  sandbox.ingress->daemon_token = sandbox.info.envd_access_token;
  sandbox.ingress->host_mask = network.mask_request_host.value_or("");
}

}  // namespace emulator::sandboxes
