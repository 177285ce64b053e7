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
  old->cut_all();
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

}  // namespace emulator::sandboxes
