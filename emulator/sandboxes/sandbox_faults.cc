// LocalSandboxService: the faults that somebody injects into one sandbox.
#include <signal.h>

#include "emulator/base/log.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator::sandboxes {

using base::Errc;

// The daemon is pid 1: everything in the sandbox ends with it, and watch() notices.
base::Result<> LocalSandboxService::kill_daemon(const std::string& id) {
  SANDLOT_TRY(SandboxPtr sandbox, find(id));
  if (sandbox->state != State::kRunning) {
    return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  base::log::info("fault.kill_daemon", {{"sandbox", id}});
  if (::kill(sandbox->container->pid(), SIGKILL) != 0) return base::fail_errno("kill the daemon");
  return {};
}

base::Result<> LocalSandboxService::reset_peers(const std::string& id) {
  SANDLOT_TRY(SandboxPtr sandbox, find(id));
  auto old = sandbox->connections;
  renew_connections(sandbox);
  old->reset_all();
  hooks_.cut_egress(id);
  return {};
}

base::Task<> LocalSandboxService::set_stuck(std::string id, bool stuck) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  if (sandbox->stuck == stuck) co_return base::Result<>();
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  sandbox->stuck = stuck;
  auto changing = stuck ? sandbox->container->freeze() : sandbox->container->thaw();
  auto changed = co_await std::move(changing);
  if (!changed) {
    sandbox->stuck = !stuck;
  } else if (!stuck) {
    co_await tell_clock(sandbox);
  }
  co_return changed;
}

base::Task<> LocalSandboxService::kill_largest(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_settled(id));
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  base::log::info("fault.oom", {{"sandbox", id}});
  co_return co_await sandbox->container->kill_largest();
}

base::Task<> LocalSandboxService::set_disk_full(std::string id, bool full) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_settled(id));
  if (full && sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  if (!sandbox->container || sandbox->disk_full == full) co_return base::Result<>();
  unsigned generation = sandbox->generation;
  auto done = co_await sandbox->container->set_disk_full(full);
  if (done && sandbox->generation == generation) sandbox->disk_full = full;
  co_return done;
}

base::Task<std::shared_ptr<const base::UniqueFd>> LocalSandboxService::network_of(std::string id) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_settled(std::move(id)));
  co_return sandbox->slot.netns();
}

std::optional<LocalSandboxService::Life> LocalSandboxService::life_of(std::string_view id) const {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return std::nullopt;
  return Life{found->second->generation, found->second->stuck};
}

}  // namespace emulator::sandboxes
