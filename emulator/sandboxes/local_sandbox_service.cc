#include "emulator/sandboxes/local_sandbox_service.h"

#include <algorithm>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/agent_channel.h"
#include "fakeapi/cloud/limits.h"
#include "fakeapi/cloud/templates.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

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
  if (hooks_.secrets != nullptr) hooks_.secrets->on_change([this] { secrets_changed(); });
  tasks_.spawn("expiry", expire());
  tasks_.spawn("metrics", measure());
}

LocalSandboxService::~LocalSandboxService() {
  if (hooks_.secrets != nullptr) hooks_.secrets->on_change(nullptr);
}

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

base::Task<Blank> LocalSandboxService::take_configured(const Template& item,
                                                       const cloud::StringMap& environment,
                                                       const std::string& token,
                                                       std::string id) {
  // A pooled blank may have died while it waited (out of memory, an administrator): then the next
  // one.
  for (int attempt = 0;; ++attempt) {
    SANDLOT_CO_TRY(Blank blank, co_await blanks_.take(item));
    SANDLOT_CO_CHECK(hooks_.fail_step("configure"));
    fakeapi::envd::SandboxConfiguration configuration =
        identity_of(item, id.empty() ? blank.id : id);
    configuration.access_token = token;
    configuration.env_vars = environment;
    configuration.clock = agent_clock_;
    int control = blank.container->control_fd();
    auto configured = co_await configure_agent(control, std::move(configuration));
    if (configured) co_return blank;
    bool retry = configured.error().code() == Errc::kUnavailable && attempt < 8;
    if (!retry) co_return base::fail(std::move(configured).error());
  }
}

base::Task<cloud::SandboxInfo> LocalSandboxService::create(cloud::NewSandbox request) {
  SANDLOT_CO_TRY(TemplatePtr item, co_await find_template(request.template_id));
  co_return co_await create_from(std::move(item), std::move(request));
}

base::Task<TemplatePtr> LocalSandboxService::find_template(std::string reference) {
  reference = cloud::plain_name(reference);
  // The built-in ones live as long as the emulator.
  if (const Template* item = templates_.find(reference)) {
    // For the tag: they have `default` alone.
    if (reference.find(':') != std::string::npos) {
      SANDLOT_CO_CHECK(cloud::find_template(templates(), reference));
    }
    co_return TemplatePtr(std::shared_ptr<void>(), item);
  }
  if (snapshots_ != nullptr) co_return co_await snapshots_->find(std::move(reference));
  co_return base::fail(Errc::kNotFound, "template '" + reference + "' not found");
}

base::Task<cloud::SandboxInfo> LocalSandboxService::create_from(TemplatePtr item,
                                                                cloud::NewSandbox request) {
  if (stopping_) co_return base::fail(Errc::kUnavailable, "the emulator is stopping");
  SANDLOT_CO_TRY(PolicyPtr policy, compile(request.network, request.allow_internet_access));
  SANDLOT_CO_CHECK(co_await check_volumes(request.volume_mounts));
  SANDLOT_CO_TRY(SecretVersions versions, co_await bind_secrets(request.secrets));
  BoundSecrets secrets = bound_to(versions);
  cloud::StringMap environment = environment_of(request.env_vars, secrets);
  SANDLOT_CO_CHECK(check_room());
  ++starting_;
  base::ScopeExit started([this] { --starting_; });
  std::string token = request.secure ? base::make_access_token() : "";
  auto told = agent_clock_;
  SANDLOT_CO_TRY(Blank blank, co_await take_configured(*item, environment, token));
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
  info.alias = item->name();
  info.metadata = std::move(request.metadata);
  begin_life(*sandbox, request.timeout);
  info.cpu_count = item->limits.cpu_count;
  info.memory_mb = sandbox->base_memory_mb = item->limits.memory_mb;
  info.disk_size_mb = item->disk_size_mb;
  info.envd_version = fakeapi::envd::kEnvdVersion;
  info.envd_access_token = std::move(token);
  info.allow_internet_access = request.allow_internet_access;
  info.network = std::move(request.network);
  show_ingress(*sandbox);
  sandbox->secrets = std::move(secrets);
  sandbox->secret_versions = std::move(versions);
  info.auto_pause = request.auto_pause;
  info.auto_pause_memory = request.auto_pause_memory;
  info.auto_resume = request.auto_resume;
  sandbox->made_of = *item;
  sandbox->env_vars = std::move(request.env_vars);
  begin_files(*sandbox, blank);
  info.volume_mounts = std::move(request.volume_mounts);
  sandbox->lifetime = request.timeout;
  sandbox->policy_in_kernel = policy;
  sandbox->policy = std::move(policy);
  sandbox->unbuilt_port = item->unbuilt_port;
  sandbox->item = item;
  sandbox->slot = std::move(blank.slot);
  sandbox->container = std::move(blank.container);
  sandbox->idle_timeout = cloud::idle_timeout(info.metadata).value_or(std::chrono::seconds(0));
  renew_connections(sandbox);
  SANDLOT_CO_CHECK(co_await attach_volumes(sandbox, *sandbox->container));
  if (stopping_) co_return base::fail(Errc::kUnavailable, "the emulator is stopping");
  sandboxes_[info.sandbox_id] = sandbox;
  compile_rules(*sandbox);  // from now on it hears of changes of what its rules name
  id_by_address_[sandbox->slot.address()] = info.sandbox_id;
  note(*sandbox, "create", 201);
  tasks_.spawn("sandbox watch", watch(sandbox, sandbox->generation));
  expire_sooner();
  sandbox->told = told;
  co_await tell_clock(sandbox);  // it may have changed while the sandbox was made
  base::log::debug("sandbox.created", {{"sandbox", info.sandbox_id}, {"template", item->id}});
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
  sandbox->mounts.reset();  // they go with its mount namespace
  sandbox->settled.cancel();
}

base::Task<> LocalSandboxService::kill(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  forget(sandbox);
  note(*sandbox, "delete", 204);
  base::log::debug("sandbox.killed", {{"sandbox", id}});
  co_return co_await end_for_good(sandbox);
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
  // One whose files are being copied answers a little later.
  route.paused =
      sandbox.info.state == cloud::SandboxState::kPaused || sandbox.state == State::kResetting;
  route.auto_resume = sandbox.info.auto_pause && sandbox.info.auto_resume && !sandbox.files_only;
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

LocalSandboxService::PolicyPtr LocalSandboxService::policy_of(std::string_view id) const {
  auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : found->second->policy;
}

asio::awaitable<void> LocalSandboxService::watch(SandboxPtr sandbox, unsigned generation) {
  auto ended = co_await sandbox->container->exited();
  if (!ended || sandbox->state == State::kGone || sandbox->generation != generation) co_return;
  base::log::warn("sandbox.died", {{"sandbox", sandbox->info.sandbox_id}});
  forget(sandbox);
  note(*sandbox, "delete", 500, "the sandbox's daemon ended");
  co_await end_for_good(sandbox);
}

asio::awaitable<void> LocalSandboxService::clock_changed(fakeapi::envd::ClockSetting setting) {
  agent_clock_ = setting;
  auto left = std::make_shared<std::vector<SandboxPtr>>();
  for (const auto& [id, sandbox] : sandboxes_) left->push_back(sandbox);
  // Many at a time: an agent that does not answer takes its five seconds and nobody else's.
  constexpr std::size_t kAtOnce = 64;
  base::TaskGroup tellers(executor_);
  for (std::size_t i = 0; i < std::min(kAtOnce, left->size()); ++i)
    tellers.spawn("clock", tell_clocks(left));
  co_await tellers.join();
}

asio::awaitable<void> LocalSandboxService::tell_clocks(
    std::shared_ptr<std::vector<SandboxPtr>> left) {
  while (!left->empty()) {
    SandboxPtr sandbox = std::move(left->back());
    left->pop_back();
    co_await tell_clock(std::move(sandbox));
  }
}

asio::awaitable<void> LocalSandboxService::tell_clock(SandboxPtr sandbox) {
  if (sandbox->state != State::kRunning || sandbox->told == agent_clock_) co_return;
  if (sandbox->stuck) co_return;  // told when it goes on
  auto setting = agent_clock_;
  auto told = co_await set_agent_clock(sandbox->container->control_fd(), setting);
  if (told) {
    sandbox->told = setting;
  } else if (sandbox->state == State::kRunning) {
    base::log::warn("clock.not_told",
                    {{"sandbox", sandbox->info.sandbox_id}, {"error", told.error().message()}});
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

asio::awaitable<void> LocalSandboxService::stop(bool keep_paused) {
  stopping_ = true;
  if (keep_paused) co_await put_away();
  co_await kill_all();
  deadline_changed_.cancel();
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace emulator::sandboxes
