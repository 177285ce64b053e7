#include "emulator/sandboxes/local_sandbox_service.h"

#include <algorithm>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/agent_channel.h"
#include "netfilter/slot_policy.h"
#include "netfilter/slot_rules.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

namespace {

using PolicyPtr = std::shared_ptr<const netfilter::Policy>;

// fakeapi/cloud has checked the lists already; this is the check that counts.
base::Result<PolicyPtr> compile(const std::optional<cloud::NetworkOptions>& network,
                                std::optional<bool> allow_internet_access) {
  netfilter::PolicyLists lists;
  if (network) {
    lists.allow_out = network->allow_out.value_or(std::vector<std::string>());
    lists.deny_out = network->deny_out.value_or(std::vector<std::string>());
  }
  lists.internet_access = allow_internet_access.value_or(true);
  SANDLOT_TRY(netfilter::Policy policy, netfilter::Policy::compile(lists));
  for (const std::string& rule : policy.ineffective()) {
    base::log::warn("policy.no_effect", {{"entry", rule}});
  }
  return std::make_shared<const netfilter::Policy>(std::move(policy));
}

}  // namespace

LocalSandboxService::LocalSandboxService(asio::any_io_executor executor,
                                         base::Clock& clock,
                                         const TemplateStore& templates,
                                         BlankPool& blanks,
                                         Hooks hooks)
    : executor_(executor),
      clock_(clock),
      templates_(templates),
      blanks_(blanks),
      hooks_(std::move(hooks)),
      deadline_changed_(executor, asio::steady_timer::time_point::max()),
      tasks_(executor) {
  tasks_.spawn("expiry", expire());
  tasks_.spawn("metrics", measure());
}

LocalSandboxService::~LocalSandboxService() = default;

base::Result<LocalSandboxService::SandboxPtr> LocalSandboxService::find(std::string_view id) const {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) {
    return base::fail(Errc::kNotFound, "sandbox \"" + std::string(id) + "\" not found");
  }
  return found->second;
}

base::Task<LocalSandboxService::SandboxPtr> LocalSandboxService::find_settled(std::string id) {
  for (;;) {
    SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
    if (sandbox->state == State::kRunning || sandbox->state == State::kPaused) co_return sandbox;
    co_await sandbox->settled.async_wait(base::kUse);
  }
}

base::Task<LocalSandboxService::SandboxPtr> LocalSandboxService::find_steady(std::string id) {
  for (;;) {
    SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_settled(id));
    if (!sandbox->policy_changing) co_return sandbox;
    co_await sandbox->settled.async_wait(base::kUse);
  }
}

void LocalSandboxService::show_ingress(Sandbox& sandbox) {
  const cloud::NetworkOptions network = sandbox.info.network.value_or(cloud::NetworkOptions());
  if (network.is_private() && sandbox.traffic_token.empty()) {
    sandbox.traffic_token = base::random_hex(32);
  }
  sandbox.info.traffic_access_token = network.is_private() ? sandbox.traffic_token : "";
  sandbox.ingress->traffic_token = sandbox.info.traffic_access_token;
  sandbox.ingress->host_mask = network.mask_request_host.value_or("");
}

base::Task<Blank> LocalSandboxService::take_configured(const Template& item,
                                                       const cloud::NewSandbox& request,
                                                       const std::string& token) {
  // A pooled blank may have died while it waited (out of memory, an administrator): then the next
  // one.
  for (int attempt = 0;; ++attempt) {
    SANDLOT_CO_TRY(Blank blank, co_await blanks_.take(item));
    SANDLOT_CO_CHECK(hooks_.fail_step("configure"));
    fakeapi::envd::SandboxConfiguration configuration = identity_of(item, blank.id);
    configuration.access_token = token;
    configuration.env_vars = request.env_vars;
    configuration.clock = agent_clock_;
    int control = blank.container->control_fd();
    auto configured = co_await configure_agent(control, std::move(configuration));
    if (configured) co_return blank;
    bool retry = configured.error().code() == Errc::kUnavailable && attempt < 8;
    if (!retry) co_return base::fail(std::move(configured).error());
  }
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

base::Task<cloud::SandboxInfo> LocalSandboxService::create(cloud::NewSandbox request) {
  const Template* item = templates_.find(request.template_id);
  if (item == nullptr) {
    co_return base::fail(Errc::kNotFound, "template '" + request.template_id + "' not found");
  }
  if (stopping_) co_return base::fail(Errc::kUnavailable, "the emulator is stopping");
  SANDLOT_CO_TRY(PolicyPtr policy, compile(request.network, request.allow_internet_access));
  SANDLOT_CO_CHECK(check_room());
  ++starting_;
  base::ScopeExit started([this] { --starting_; });
  std::string token = request.secure ? base::random_hex(32) : "";
  SANDLOT_CO_TRY(Blank blank, co_await take_configured(*item, request, token));
  SANDLOT_CO_CHECK(hooks_.fail_step("policy"));
  // Before anybody can start a process in it, and before the proxy knows its address.
  auto open = std::make_shared<const netfilter::Policy>();
  SANDLOT_CO_CHECK(co_await apply_policy(blank.slot, std::move(open), policy));
  SANDLOT_CO_CHECK(hooks_.fail_step("register"));
  if (stopping_) co_return base::fail(Errc::kUnavailable, "the emulator is stopping");

  auto sandbox = std::make_shared<Sandbox>(executor_);
  cloud::SandboxInfo& info = sandbox->info;
  info.sandbox_id = blank.id;
  info.template_id = item->id;
  info.alias = item->names.front();
  info.metadata = std::move(request.metadata);
  info.started_at = clock_.now();
  info.end_at = info.started_at + request.timeout;
  info.cpu_count = item->limits.cpu_count;
  info.memory_mb = item->limits.memory_mb;
  info.disk_size_mb = item->disk_size_mb;
  info.envd_version = fakeapi::envd::kEnvdVersion;
  info.envd_access_token = std::move(token);
  info.allow_internet_access = request.allow_internet_access;
  info.network = std::move(request.network);
  show_ingress(*sandbox);
  info.auto_pause = request.auto_pause;
  sandbox->policy_in_kernel = policy;
  sandbox->policy = std::move(policy);
  sandbox->unbuilt_port = item->unbuilt_port;
  sandbox->slot = std::move(blank.slot);
  sandbox->container = std::move(blank.container);
  sandboxes_[info.sandbox_id] = sandbox;
  id_by_address_[sandbox->slot.address()] = info.sandbox_id;
  tasks_.spawn("sandbox watch", watch(sandbox));
  expire_sooner();
  base::log::debug("sandbox.created",
                   {{"sandbox", info.sandbox_id}, {"template", item->names.front()}});
  co_return info;
}

std::vector<cloud::SandboxInfo> LocalSandboxService::list() const {
  std::vector<cloud::SandboxInfo> items;
  items.reserve(sandboxes_.size());
  for (const auto& [id, sandbox] : sandboxes_) items.push_back(sandbox->info);
  return items;
}

base::Result<cloud::SandboxInfo> LocalSandboxService::get(std::string_view id) const {
  SANDLOT_TRY(SandboxPtr sandbox, find(id));
  return sandbox->info;
}

// From here on nobody can find it; its connections end without a closing frame
// (contract-envd 5.10).
void LocalSandboxService::forget(const SandboxPtr& sandbox) {
  if (sandbox->state == State::kGone) return;
  sandbox->state = State::kGone;
  sandboxes_.erase(sandbox->info.sandbox_id);
  id_by_address_.erase(sandbox->slot.address());
  sandbox->connections->cut_all();
  hooks_.cut_egress(sandbox->info.sandbox_id);
  sandbox->settled.cancel();
}

base::Task<> LocalSandboxService::kill(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  forget(sandbox);
  base::log::debug("sandbox.killed", {{"sandbox", id}});
  co_return co_await sandbox->container->kill();
}

base::Result<> LocalSandboxService::set_timeout(std::string_view id, std::chrono::seconds timeout) {
  SANDLOT_TRY(SandboxPtr sandbox, find(id));
  sandbox->info.end_at = clock_.now() + timeout;
  expire_sooner();
  return {};
}

base::Result<> LocalSandboxService::check_room() const {
  if (!max_running_) return {};
  auto running = static_cast<std::size_t>(
      std::count_if(sandboxes_.begin(), sandboxes_.end(),
                    [](const auto& item) { return item.second->state != State::kPaused; }));
  if (running + starting_ < *max_running_) return {};
  return base::fail(Errc::kResourceExhausted,
                    "Sandbox limit reached: " + std::to_string(*max_running_) +
                        " may run at once (--max-sandboxes)");
}

base::Task<> LocalSandboxService::freeze(SandboxPtr sandbox) {
  sandbox->state = State::kPausing;
  sandbox->info.state = cloud::SandboxState::kPaused;  // shown as paused while it is still pausing
  sandbox->connections->cut_all();
  auto frozen = co_await sandbox->container->freeze();
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox->info.sandbox_id + "\" not found");
  }
  if (!frozen) {
    sandbox->state = State::kRunning;
    sandbox->info.state = cloud::SandboxState::kRunning;
    sandbox->connections = std::make_shared<proxy::LiveConnections>();
  } else {
    sandbox->state = State::kPaused;
  }
  sandbox->settled.cancel();
  co_return frozen;
}

base::Task<> LocalSandboxService::thaw(SandboxPtr sandbox) {
  SANDLOT_CO_CHECK(check_room());
  sandbox->state = State::kResuming;
  auto thawed = co_await sandbox->container->thaw();
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox->info.sandbox_id + "\" not found");
  }
  sandbox->state = thawed ? State::kRunning : State::kPaused;
  if (thawed) {
    sandbox->info.state = cloud::SandboxState::kRunning;
    sandbox->connections = std::make_shared<proxy::LiveConnections>();
  }
  sandbox->settled.cancel();
  co_return thawed;
}

base::Task<> LocalSandboxService::pause(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  if (sandbox->state == State::kResuming) {
    SANDLOT_CO_TRY(sandbox, co_await find_settled(id));
  }
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is already paused");
  }
  co_return co_await freeze(sandbox);
}

base::Task<cloud::Connected> LocalSandboxService::connect(
    std::string id, std::chrono::seconds timeout, std::optional<cloud::NetworkOptions> network) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (network) {
    SANDLOT_CO_CHECK(co_await change_network(sandbox, std::move(*network)));
    SANDLOT_CO_TRY(sandbox, co_await find_steady(id));
  }
  cloud::Connected connected;
  base::TimePoint wanted = clock_.now() + timeout;
  if (sandbox->state == State::kPaused) {
    SANDLOT_CO_CHECK(co_await thaw(sandbox));
    sandbox->info.end_at = wanted;
    connected.resumed = true;
  } else {
    sandbox->info.end_at = std::max(sandbox->info.end_at, wanted);
  }
  expire_sooner();
  connected.info = sandbox->info;
  co_return connected;
}

base::Task<cloud::SandboxInfo> LocalSandboxService::resume(
    std::string id,
    std::chrono::seconds timeout,
    std::optional<bool> auto_pause,
    std::optional<cloud::NetworkOptions> network) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (network && sandbox->state == State::kPaused) {
    SANDLOT_CO_CHECK(co_await change_network(sandbox, std::move(*network)));
    SANDLOT_CO_TRY(sandbox, co_await find_steady(id));
  }
  if (sandbox->state != State::kPaused) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is already running");
  }
  SANDLOT_CO_CHECK(co_await thaw(sandbox));
  sandbox->info.end_at = clock_.now() + timeout;
  if (auto_pause) sandbox->info.auto_pause = *auto_pause;
  expire_sooner();
  co_return sandbox->info;
}

base::Task<> LocalSandboxService::change_policy(SandboxPtr sandbox, PolicyPtr policy) {
  const std::string id = sandbox->info.sandbox_id;
  sandbox->policy_changing = true;
  auto applied = co_await apply_policy(sandbox->slot, sandbox->policy_in_kernel, policy);
  sandbox->policy_changing = false;
  sandbox->settled.cancel();
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  sandbox->policy_in_kernel = applied ? policy : nullptr;
  sandbox->policy = applied
                        ? std::move(policy)
                        : std::make_shared<const netfilter::Policy>(netfilter::Policy::closed());
  hooks_.policy_changed(id);
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
  co_return base::Result<>();
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
  co_return base::Result<>();
}

base::Result<std::vector<cloud::MetricSample>> LocalSandboxService::metrics(
    std::string_view id) const {
  SANDLOT_TRY(SandboxPtr sandbox, find(id));
  return sandbox->metrics.all();
}

std::vector<cloud::TemplateSummary> LocalSandboxService::templates() const {
  std::vector<cloud::TemplateSummary> items;
  for (const Template& item : templates_.all()) {
    cloud::TemplateSummary summary;
    summary.template_id = item.id;
    summary.build_id = item.build_id;
    summary.names = item.names;
    summary.cpu_count = item.limits.cpu_count;
    summary.memory_mb = item.limits.memory_mb;
    summary.disk_size_mb = item.disk_size_mb;
    summary.created_at = item.created_at;
    items.push_back(std::move(summary));
  }
  return items;
}

std::optional<proxy::SandboxRoute> LocalSandboxService::route(std::string_view id) const {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return std::nullopt;
  const Sandbox& sandbox = *found->second;
  proxy::SandboxRoute route;
  route.id = sandbox.info.sandbox_id;
  route.paused = sandbox.state != State::kRunning;
  route.netns = sandbox.slot.netns();
  route.address = sandbox.slot.address();
  route.connections = sandbox.connections;
  route.ingress = sandbox.ingress;
  route.unbuilt_port = sandbox.unbuilt_port;
  return route;
}

std::optional<std::string> LocalSandboxService::id_by_address(std::string_view address) const {
  auto found = id_by_address_.find(address);
  if (found == id_by_address_.end()) return std::nullopt;
  return found->second;
}

PolicyPtr LocalSandboxService::policy_of(std::string_view id) const {
  auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : found->second->policy;
}

asio::awaitable<void> LocalSandboxService::watch(SandboxPtr sandbox) {
  auto ended = co_await sandbox->container->exited();
  if (!ended || sandbox->state == State::kGone) co_return;
  base::log::warn("sandbox.died", {{"sandbox", sandbox->info.sandbox_id}});
  forget(sandbox);
  co_await sandbox->container->kill();
}

base::Task<> LocalSandboxService::clock_changed(fakeapi::envd::ClockSetting setting) {
  agent_clock_ = setting;
  std::vector<SandboxPtr> all;
  for (const auto& [id, sandbox] : sandboxes_) all.push_back(sandbox);
  base::Result<> result;
  for (const SandboxPtr& sandbox : all) {
    if (sandbox->state == State::kGone) continue;
    bool runs = sandbox->state == State::kRunning;
    int control = sandbox->container->control_fd();
    auto told = co_await set_agent_clock(control, agent_clock_, runs);
    // One that ended or stopped in the meantime has no time to tell.
    if (!told && runs && sandbox->state == State::kRunning) result = std::move(told);
  }
  co_return result;
}

void LocalSandboxService::expire_sooner() {
  deadline_changed_.cancel();
}

asio::awaitable<void> LocalSandboxService::expire() {
  using asio::experimental::awaitable_operators::operator||;
  while (!stopping_) {
    base::TimePoint now = clock_.now();
    base::TimePoint next = base::TimePoint::max();
    std::vector<SandboxPtr> due;
    for (const auto& [id, sandbox] : sandboxes_) {
      if (sandbox->state != State::kRunning) continue;
      if (sandbox->info.end_at <= now) due.push_back(sandbox);
      next = std::min(next, sandbox->info.end_at);
    }
    for (const SandboxPtr& sandbox : due) co_await end_of_life(sandbox);
    if (!due.empty()) continue;
    if (next == base::TimePoint::max()) {
      co_await deadline_changed_.async_wait(base::kUse);
    } else {
      co_await (clock_.sleep_until(next) || deadline_changed_.async_wait(base::kUse));
    }
  }
}

// A few at a time, so that no request waits for many sandboxes' files.
asio::awaitable<void> LocalSandboxService::measure() {
  while (!stopping_) {
    co_await base::sleep_for(kMetricsInterval);
    std::vector<SandboxPtr> running;
    for (const auto& [id, sandbox] : sandboxes_) {
      if (sandbox->state == State::kRunning) running.push_back(sandbox);
    }
    for (const SandboxPtr& sandbox : running) {
      if (stopping_) co_return;
      if (sandbox->state != State::kRunning) continue;
      auto usage = sandbox->container->usage();
      auto size = static_cast<std::uint64_t>(sandbox->info.disk_size_mb) << 20U;
      if (usage) sandbox->metrics.add(sandbox->info, *usage, hooks_.disk(size), clock_.now());
      co_await asio::post(executor_, base::kUse);
    }
  }
}

asio::awaitable<void> LocalSandboxService::end_of_life(SandboxPtr sandbox) {
  if (sandbox->state != State::kRunning) co_return;
  const std::string id = sandbox->info.sandbox_id;
  bool pauses = sandbox->info.auto_pause;
  auto ending = pauses ? pause(id) : kill(id);
  auto ended = co_await std::move(ending);
  if (ended) {
    base::log::info("sandbox.timeout", {{"sandbox", id}, {"then", pauses ? "paused" : "killed"}});
    co_return;
  }
  base::log::error("sandbox.timeout_failed", {{"sandbox", id}, {"error", ended.error().message()}});
  // A sandbox that cannot be paused at its end must not live for ever.
  if (pauses) co_await kill(id);
}

asio::awaitable<std::size_t> LocalSandboxService::kill_all() {
  std::vector<std::string> ids;
  for (const auto& [id, sandbox] : sandboxes_) ids.push_back(id);
  std::size_t count = 0;
  for (const std::string& id : ids) {
    auto killed = co_await kill(id);
    if (killed) ++count;
  }
  co_return count;
}

asio::awaitable<void> LocalSandboxService::stop() {
  stopping_ = true;
  co_await kill_all();
  deadline_changed_.cancel();
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace emulator::sandboxes
