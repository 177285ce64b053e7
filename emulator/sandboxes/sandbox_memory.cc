// LocalSandboxService: sandboxes without memory. Paused so, or left by an emulator that has ended,
// they are a row and their files, and start anew from those (contract-envd 5.10).
#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/agent_channel.h"
#include "emulator/sandboxes/local_sandbox_service.h"
#include "fakeapi/cloud/limits.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

void LocalSandboxService::begin_files(Sandbox& sandbox, const Blank& fresh) {
  sandbox.files = fresh.container->id();
  sandbox.ids_slot = fresh.slot.index();
  sandbox.first_id = fresh.slot.first_id();
  sandbox.ids_hold = SlotHold();
}

PausedRecord LocalSandboxService::record_of(const Sandbox& sandbox) const {
  PausedRecord record;
  record.info = sandbox.info;
  record.lifetime = sandbox.lifetime;
  record.files_only = sandbox.files_only;
  record.traffic_token = sandbox.traffic_token;
  record.env_vars = sandbox.env_vars;
  record.secrets = sandbox.secrets;
  record.made_of = sandbox.made_of;
  record.files = sandbox.files;
  record.slot = sandbox.ids_slot;
  record.first_id = sandbox.first_id;
  return record;
}

base::Task<> LocalSandboxService::write_down(SandboxPtr sandbox, bool files_only) {
  if (hooks_.paused == nullptr) {
    sandbox->files_only = files_only;
    co_return base::Result<>();
  }
  PausedRecord record = record_of(*sandbox);
  record.files_only = files_only;
  auto saved = co_await hooks_.paused->save(std::move(record), clock_.now());
  if (saved) {
    sandbox->written_down = true;
  } else {
    base::log::error("pause.not_written",
                     {{"sandbox", sandbox->info.sandbox_id}, {"error", saved.error().message()}});
  }
  if (saved && sandbox->state == State::kGone) (void)co_await strike_out(sandbox);  // killed
  sandbox->files_only = files_only && (saved || sandbox->files_only);
  co_return saved;
}

base::Task<> LocalSandboxService::strike_out(SandboxPtr sandbox) {
  if (!sandbox->written_down) co_return base::Result<>();
  sandbox->written_down = false;
  auto removed = co_await hooks_.paused->remove(sandbox->info.sandbox_id);
  if (!removed) {
    sandbox->written_down = true;  // the kill tries again
    base::log::error("resume.not_written",
                     {{"sandbox", sandbox->info.sandbox_id}, {"error", removed.error().message()}});
  }
  co_return removed;
}

// Its processes end, its files stay. Its slot goes, but for the ids.
asio::awaitable<void> LocalSandboxService::end_container(SandboxPtr sandbox) {
  ++sandbox->generation;
  sandbox->disk_full = false;
  auto ended = co_await sandbox->container->end();
  if (!ended) {
    base::log::warn("sandbox.stuck",
                    {{"sandbox", sandbox->info.sandbox_id}, {"error", ended.error().message()}});
  }
  sandbox->container.reset();
  hooks_.cut_egress(sandbox->info.sandbox_id);
  id_by_address_.erase(sandbox->slot.address());
  // Revived before, it has a slot that its files do not belong to, and the hold already.
  if (sandbox->ids_slot == sandbox->slot.index()) {
    sandbox->ids_hold = blanks_.hold_slot(sandbox->ids_slot);
  }
  sandbox->slot = SlotLease();
  sandbox->policy_in_kernel = nullptr;
  if (sandbox->state == State::kGone) blanks_.discard_files(sandbox->files);
}

base::Task<> LocalSandboxService::drop_memory(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (sandbox->state != State::kPaused || !sandbox->container) co_return base::Result<>();
  // It is to go on: a call that is refused changes nothing.
  SANDLOT_CO_CHECK(check_room());
  sandbox->state = State::kPausing;
  co_await end_container(sandbox);
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  sandbox->state = State::kPaused;
  sandbox->settled.cancel();
  co_return base::Result<>();
}

// Everything that must be so before somebody can use it.
base::Task<> LocalSandboxService::prepare(SandboxPtr sandbox, const Blank& blank) {
  fakeapi::envd::SandboxConfiguration configuration =
      identity_of(sandbox->made_of, sandbox->info.sandbox_id);
  configuration.access_token = sandbox->info.envd_access_token;
  configuration.env_vars = environment_of(sandbox->env_vars, sandbox->secrets);
  configuration.clock = agent_clock_;
  configuration.memory_bytes = std::int64_t{sandbox->info.memory_mb} << 20;
  sandbox->told = agent_clock_;
  int control = blank.container->control_fd();
  SANDLOT_CO_CHECK(co_await configure_agent(control, std::move(configuration)));
  SANDLOT_CO_CHECK(co_await attach_volumes(sandbox, *blank.container));
  auto open = std::make_shared<const netfilter::Policy>();
  PolicyPtr policy = sandbox->policy;
  SANDLOT_CO_CHECK(co_await apply_policy(blank.slot, std::move(open), policy));
  sandbox->policy_in_kernel = std::move(policy);
  co_return base::Result<>();
}

base::Task<> LocalSandboxService::revive(SandboxPtr sandbox) {
  const std::string id = sandbox->info.sandbox_id;
  sandbox->reviving = true;
  base::ScopeExit revived([&] { sandbox->reviving = false; });
  Template made_of = sandbox->made_of;
  made_of.limits.memory_mb = sandbox->info.memory_mb;
  auto blank = co_await blanks_.revive(std::move(made_of), sandbox->files, sandbox->first_id);
  base::Result<> prepared;
  if (blank && sandbox->state != State::kGone) {
    auto preparing = prepare(sandbox, *blank);
    prepared = co_await std::move(preparing);
  }
  if (!blank) prepared = base::fail(std::move(blank).error());
  if (sandbox->state == State::kGone) {
    // Killed meanwhile: the new container, if there is one, takes its files along.
    if (!blank) blanks_.discard_files(sandbox->files);
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  if (!prepared) {
    if (blank) co_await blank->container->end();
    co_return prepared;
  }
  sandbox->slot = std::move(blank->slot);
  sandbox->container = std::move(blank->container);
  id_by_address_[sandbox->slot.address()] = id;
  tasks_.spawn("sandbox watch", watch(sandbox, sandbox->generation));
  co_return base::Result<>();
}

// Of one that nobody can find any more.
base::Task<> LocalSandboxService::end_for_good(SandboxPtr sandbox) {
  bool starting_anew = sandbox->reviving;
  auto struck = co_await strike_out(sandbox);
  if (!struck && !starting_anew) co_return co_await end_with_files(sandbox);
  if (sandbox->container) co_return co_await sandbox->container->kill();
  if (!starting_anew) blanks_.discard_files(sandbox->files);
  co_return base::Result<>();
}

// The disk is so full that its row stays: without the files it is nobody's, and there is room
// again.
base::Task<> LocalSandboxService::end_with_files(SandboxPtr sandbox) {
  if (sandbox->container) SANDLOT_CO_CHECK(co_await sandbox->container->end());
  sandbox->container.reset();
  SANDLOT_CO_CHECK(co_await blanks_.remove_files(sandbox->files));
  (void)co_await strike_out(sandbox);
  co_return base::Result<>();
}

void LocalSandboxService::restore(std::vector<PausedRecord> records) {
  for (PausedRecord& record : records) {
    auto sandbox = std::make_shared<Sandbox>(executor_);
    auto policy = compile(record.info.network, record.info.allow_internet_access);
    sandbox->policy =
        policy ? *policy : std::make_shared<const netfilter::Policy>(netfilter::Policy::closed());
    sandbox->info = std::move(record.info);
    sandbox->state = State::kPaused;
    sandbox->written_down = true;
    sandbox->files_only = record.files_only;
    sandbox->lifetime = record.lifetime;
    sandbox->traffic_token = std::move(record.traffic_token);
    sandbox->env_vars = std::move(record.env_vars);
    sandbox->secrets = std::move(record.secrets);
    sandbox->unbuilt_port = record.made_of.unbuilt_port;
    sandbox->made_of = std::move(record.made_of);
    // The template was derived anew since: what lay below the files is gone, its successor is not.
    const Template* now = templates_.find(sandbox->made_of.id);
    if (now != nullptr && !check_layers(sandbox->made_of)) sandbox->made_of.rootfs = now->rootfs;
    if (snapshots_ != nullptr && !sandbox->made_of.snapshot_layers.empty()) {
      sandbox->item = snapshots_->hold(std::move(sandbox->made_of));
      sandbox->made_of = *sandbox->item;
    } else {
      sandbox->item = std::make_shared<const Template>(sandbox->made_of);
    }
    sandbox->files = std::move(record.files);
    sandbox->ids_slot = record.slot;
    sandbox->first_id = record.first_id;
    sandbox->ids_hold = blanks_.hold_slot(record.slot);
    sandbox->base_memory_mb = sandbox->made_of.limits.memory_mb;
    sandbox->idle_timeout =
        cloud::idle_timeout(sandbox->info.metadata).value_or(std::chrono::seconds(0));
    if (hooks_.volumes != nullptr) {
      sandbox->mounts = hooks_.volumes->keep(sandbox->info.sandbox_id, sandbox->info.volume_mounts);
    }
    show_ingress(*sandbox);
    compile_rules(*sandbox);
    base::log::info("sandbox.restored", {{"sandbox", sandbox->info.sandbox_id}});
    sandboxes_[sandbox->info.sandbox_id] = std::move(sandbox);
  }
}

asio::awaitable<void> LocalSandboxService::put_away() {
  std::vector<std::string> ids;
  for (const auto& [id, sandbox] : sandboxes_) ids.push_back(id);
  for (const std::string& id : ids) {
    auto sandbox = co_await find_steady(id);
    if (!sandbox || (*sandbox)->state != State::kPaused || !(*sandbox)->written_down) continue;
    if ((*sandbox)->container) co_await end_container(*sandbox);
    if ((*sandbox)->state != State::kGone) forget(*sandbox);
  }
}

}  // namespace emulator::sandboxes
