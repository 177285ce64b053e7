// LocalSandboxService: snapshots, clones and forks, and going back to the template.
#include <algorithm>

#include "emulator/base/log.h"
#include "emulator/base/scope_exit.h"
#include "emulator/sandboxes/agent_channel.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

namespace {

base::Failure in_use(const std::string& id, std::string_view how) {
  return base::fail(Errc::kFailedPrecondition, "cannot delete template '" + id +
                                                   "' because there are " + std::string(how) +
                                                   " sandboxes using it");
}

}  // namespace

cloud::SnapshotInfo LocalSandboxService::info_of(const SnapshotRecord& record) {
  cloud::SnapshotInfo info;
  info.as_template.template_id = record.id;
  info.as_template.build_id = record.build_id;
  info.as_template.is_snapshot = true;
  info.as_template.names = record.names;
  info.as_template.cpu_count = record.limits.cpu_count;
  info.as_template.memory_mb = record.limits.memory_mb;
  info.as_template.disk_size_mb = record.disk_size_mb;
  info.as_template.created_at = record.created_at;
  info.source = record.source;
  info.memory = record.memory;
  return info;
}

SnapshotRecord LocalSandboxService::copy_of(const Sandbox& sandbox) const {
  SnapshotRecord record;
  record.source = sandbox.info.sandbox_id;
  record.created_at = clock_.now();
  record.limits = sandbox.item->limits;
  record.limits.memory_mb = sandbox.info.memory_mb;
  return record;
}

base::Task<> LocalSandboxService::capture(std::string id, std::filesystem::path directory) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  const State before = sandbox->state;
  sandbox->state = State::kCapturing;
  // Its streams stay: they wait.
  base::Result<> done;
  if (before == State::kRunning) done = co_await sandbox->container->freeze();
  if (done && sandbox->state != State::kGone) {
    auto copying = sandbox->container
                       ? sandbox->container->capture(std::move(directory))
                       : blanks_.capture_files(sandbox->files, sandbox->first_id, directory);
    auto report = co_await std::move(copying);
    if (!report) done = base::Failure(std::move(report).error());
    if (report) {
      base::log::debug("sandbox.captured", {{"sandbox", id},
                                            {"files", std::to_string(report->files)},
                                            {"copied", std::to_string(report->copied_bytes)},
                                            {"shared", std::to_string(report->shared_bytes)}});
    }
  }
  base::Result<> thawed;
  if (before == State::kRunning && sandbox->state != State::kGone && !sandbox->stuck) {
    thawed = co_await sandbox->container->thaw();
  }
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" not found");
  }
  sandbox->state = before;
  if (!thawed) {
    // It stands still: connect() tries again.
    base::log::error("sandbox.stuck", {{"sandbox", id}, {"error", thawed.error().message()}});
    sandbox->state = State::kPaused;
    sandbox->info.state = cloud::SandboxState::kPaused;
    sandbox->info.end_at = clock_.now();
  }
  sandbox->settled.cancel();
  expire_sooner();  // its time may have come meanwhile
  co_await tell_clock(sandbox);
  co_return done;
}

base::Task<cloud::SnapshotInfo> LocalSandboxService::take_snapshot(std::string sandbox_id,
                                                                   std::string name) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(sandbox_id));
  SnapshotRecord record = copy_of(*sandbox);
  if (!name.empty()) {
    SANDLOT_CO_TRY(std::string full, full_name(name));
    if (templates_.find(full) != nullptr) {
      co_return base::fail(Errc::kConflict, "Alias '" + name + "' is already used");
    }
    record.names.push_back(std::move(full));
  }
  SnapshotCatalogue::Fill fill = [this, sandbox_id](std::filesystem::path directory) {
    return capture(sandbox_id, std::move(directory));
  };
  TemplatePtr below = sandbox->item;
  sandbox.reset();  // a killed one must not wait for the copying to end
  auto added = co_await snapshots_->add(std::move(record), std::move(below), std::move(fill));
  if (!added) co_return base::Failure(std::move(added).error());
  base::log::debug("snapshot.taken", {{"sandbox", sandbox_id}, {"snapshot", added->record.id}});
  co_return info_of(added->record);
}

base::Task<std::vector<cloud::SnapshotInfo>> LocalSandboxService::snapshots() {
  SANDLOT_CO_TRY(auto records, co_await snapshots_->list());
  std::vector<cloud::SnapshotInfo> all;
  all.reserve(records.size());
  for (const SnapshotRecord& record : records) all.push_back(info_of(record));
  co_return all;
}

base::Task<> LocalSandboxService::delete_snapshot(std::string reference) {
  SANDLOT_CO_TRY(SnapshotRecord record, co_await snapshots_->record(reference));
  // In the cloud's words (e2b infra, the route that deletes templates) for the paused.
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox->info.template_id != record.id) continue;
    bool paused = sandbox->info.state == cloud::SandboxState::kPaused;
    co_return in_use(record.id, paused ? "paused" : "running");
  }
  // Of another emulator.
  SANDLOT_CO_TRY(std::string others, co_await snapshots_->paused());
  std::string made_of = "\"templateID\":\"" + record.id + "\"";
  if (others.find(made_of) != std::string::npos) co_return in_use(record.id, "paused");
  co_return co_await snapshots_->remove(record.id);
}

base::Task<cloud::Cloned> LocalSandboxService::clone(std::string sandbox_id,
                                                     cloud::CloneRequest request) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(sandbox_id));
  if (request.fork && sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + sandbox_id + "\" is paused");
  }
  // Before anything is copied. Of forks each says for itself that there is no room.
  if (!request.fork) {
    SANDLOT_CO_CHECK(check_room(request.strict ? static_cast<std::size_t>(request.count) : 1));
  } else if (max_running_ && static_cast<std::size_t>(request.count) >= *max_running_) {
    co_return base::fail(Errc::kInvalidArgument,
                         "Count must be lower than the maximum number of concurrent sandboxes (" +
                             std::to_string(*max_running_) + ")");
  }
  SANDLOT_CO_CHECK(co_await bind_secrets(names_of(sandbox->secrets)));
  cloud::NewSandbox wanted;
  const cloud::SandboxInfo& info = sandbox->info;
  wanted.metadata = info.metadata;
  wanted.env_vars = sandbox->env_vars;
  wanted.secrets = names_of(sandbox->secrets);
  wanted.secure = !info.envd_access_token.empty();
  wanted.allow_internet_access = info.allow_internet_access;
  wanted.network = info.network;
  wanted.volume_mounts = info.volume_mounts;
  wanted.auto_pause = info.auto_pause;
  wanted.auto_pause_memory = info.auto_pause_memory;
  wanted.auto_resume = info.auto_resume;
  auto left = std::chrono::ceil<std::chrono::seconds>(info.end_at - clock_.now());
  if (sandbox->state == State::kRunning) wanted.timeout = std::max(left, std::chrono::seconds(1));
  if (request.timeout) wanted.timeout = *request.timeout;

  SnapshotRecord record = copy_of(*sandbox);
  record.hidden = true;
  SnapshotCatalogue::Fill fill = [this, sandbox_id](std::filesystem::path directory) {
    return capture(sandbox_id, std::move(directory));
  };
  TemplatePtr below = sandbox->item;
  sandbox.reset();
  SANDLOT_CO_TRY(auto added,
                 co_await snapshots_->add(std::move(record), std::move(below), std::move(fill)));
  cloud::Cloned cloned;
  cloned.snapshot_id = added.record.id;
  cloned.memory = added.record.memory;
  std::size_t good = 0;
  for (int i = 0; i < request.count; ++i) {
    auto made = co_await create_from(added.item, wanted);
    if (made) ++good;
    cloned.sandboxes.push_back(std::move(made));
    if (!cloned.sandboxes.back() && request.strict) break;
  }
  bool all = good == static_cast<std::size_t>(request.count);
  if (all || request.fork || (good > 0 && !request.strict)) co_return cloned;
  for (const auto& made : cloned.sandboxes) {
    if (made) co_await kill(made->sandbox_id);
  }
  co_return base::Failure(std::move(cloned.sandboxes.back()).error());
}

base::Task<cloud::SandboxInfo> LocalSandboxService::reset(std::string sandbox_id,
                                                          cloud::ResetRequest request) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(sandbox_id));
  const State before = sandbox->state;
  if ((before != State::kRunning && before != State::kPaused) || sandbox->policy_changing) {
    co_return base::fail(Errc::kConflict, "Sandbox " + sandbox_id + " is changing its state");
  }
  // A call that is refused changes nothing.
  if (before == State::kPaused && request.resume) SANDLOT_CO_CHECK(check_room());
  cloud::SandboxInfo& info = sandbox->info;
  std::optional<cloud::NetworkOptions> network = info.network;
  if (request.network) {
    network = cloud::merged(network.value_or(cloud::NetworkOptions()), *request.network);
  }
  SANDLOT_CO_TRY(PolicyPtr policy, compile(network, info.allow_internet_access));
  sandbox->state = State::kResetting;
  auto secrets = co_await newest_secrets(sandbox, true);
  auto fresh = co_await make_again(sandbox, secrets.bound, policy);
  auto lifetime = request.timeout.value_or(sandbox->lifetime);
  auto end = info.end_at;
  if (before == State::kRunning && !request.resume) end = clock_.now();
  if (before == State::kRunning && request.resume && request.timeout) end = clock_.now() + lifetime;
  if (fresh && !request.resume) {
    auto frozen = co_await fresh->container->freeze();
    if (!frozen) fresh = base::Failure(std::move(frozen).error());
  }
  if (fresh && !request.resume && sandbox->state != State::kGone) {
    // Before anything of the old one goes: a crash from here on finds the new one.
    auto written =
        co_await write_down_reset(sandbox, *fresh, secrets.bound, network, lifetime, end);
    if (!written) fresh = base::Failure(std::move(written).error());
  }
  if (sandbox->state == State::kGone) {
    (void)co_await strike_out(sandbox);
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox_id + "\" not found");
  }
  if (!fresh) {
    sandbox->state = before;
    sandbox->settled.cancel();
    expire_sooner();
    co_return base::Failure(std::move(fresh).error());
  }
  const std::string old_files = sandbox->files;
  auto old = change_container(sandbox, std::move(*fresh), std::move(policy));
  info.network = std::move(network);
  show_ingress(*sandbox);
  give_secrets(*sandbox, std::move(secrets));
  info.end_at = end;
  if (!request.resume) sandbox->lifetime = lifetime;
  if (before == State::kPaused && request.resume) begin_life(*sandbox, lifetime);
  sandbox->state = request.resume ? State::kRunning : State::kPaused;
  info.state = request.resume ? cloud::SandboxState::kRunning : cloud::SandboxState::kPaused;
  if (before == State::kRunning && !request.resume) note(*sandbox, "pause", 200);
  if (before == State::kPaused && request.resume) note(*sandbox, "resume", 200);
  cloud::SandboxInfo result = info;
  sandbox->settled.cancel();
  expire_sooner();
  if (request.resume) (void)co_await strike_out(sandbox);
  if (old.container) {
    co_await old.container->kill();
    co_await asio::post(executor_, base::kUse);  // who waited for its exit has seen it
  } else {
    blanks_.discard_files(old_files);
  }
  co_await tell_clock(sandbox);
  co_return result;
}

base::Task<> LocalSandboxService::write_down_reset(SandboxPtr sandbox,
                                                   const Blank& fresh,
                                                   BoundSecrets secrets,
                                                   std::optional<cloud::NetworkOptions> network,
                                                   std::chrono::seconds lifetime,
                                                   base::TimePoint end) {
  if (hooks_.paused == nullptr) co_return base::Result<>();
  if (network && network->is_private()) make_traffic_token(*sandbox);
  PausedRecord record = record_of(*sandbox);
  record.info.network = std::move(network);
  record.info.end_at = end;
  record.lifetime = lifetime;
  record.secrets = std::move(secrets);
  record.info.memory_mb = sandbox->item->limits.memory_mb;
  record.files_only = false;
  record.files = fresh.container->id();
  record.slot = fresh.slot.index();
  record.first_id = fresh.slot.first_id();
  SANDLOT_CO_CHECK(co_await hooks_.paused->save(std::move(record), clock_.now()));
  sandbox->written_down = true;
  co_return base::Result<>();
}

base::Task<Blank> LocalSandboxService::make_again(SandboxPtr sandbox,
                                                  BoundSecrets secrets,
                                                  PolicyPtr policy) {
  cloud::StringMap environment = environment_of(sandbox->env_vars, secrets);
  auto told = agent_clock_;
  SANDLOT_CO_TRY(Blank blank, co_await take_configured(*sandbox->item, environment,
                                                       sandbox->info.envd_access_token,
                                                       sandbox->info.sandbox_id));
  auto open = std::make_shared<const netfilter::Policy>();
  SANDLOT_CO_CHECK(co_await apply_policy(blank.slot, std::move(open), std::move(policy)));
  SANDLOT_CO_CHECK(co_await attach_volumes(sandbox, *blank.container));
  sandbox->told = told;
  co_return blank;
}

Blank LocalSandboxService::change_container(const SandboxPtr& sandbox,
                                            Blank fresh,
                                            PolicyPtr policy) {
  const std::string& id = sandbox->info.sandbox_id;
  sandbox->connections->cut_all();
  hooks_.cut_egress(id);
  id_by_address_.erase(sandbox->slot.address());
  begin_files(*sandbox, fresh);
  sandbox->files_only = false;
  std::swap(sandbox->slot, fresh.slot);
  std::swap(sandbox->container, fresh.container);
  id_by_address_[sandbox->slot.address()] = id;
  ++sandbox->generation;
  sandbox->stuck = sandbox->disk_full = false;
  renew_connections(sandbox);
  sandbox->info.memory_mb = sandbox->item->limits.memory_mb;  // what was added is gone
  sandbox->policy_in_kernel = policy;
  sandbox->policy = std::move(policy);
  hooks_.policy_changed(id);
  sandbox->metrics.restart();
  tasks_.spawn("sandbox watch", watch(sandbox, sandbox->generation));
  return fresh;
}

}  // namespace emulator::sandboxes
