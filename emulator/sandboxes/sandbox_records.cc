// LocalSandboxService: what is written down of a sandbox, when nobody uses it, and how much memory
// it has.
#include "emulator/base/log.h"
#include "emulator/sandboxes/agent_channel.h"
#include "emulator/sandboxes/local_sandbox_service.h"
#include "fakeapi/cloud/limits.h"

namespace emulator::sandboxes {

namespace cloud = fakeapi::cloud;
using base::Errc;

void LocalSandboxService::note(const Sandbox& sandbox,
                               std::string name,
                               int status,
                               std::string error) {
  cloud::SandboxEvent event;
  event.time = clock_.now();
  event.sandbox_id = sandbox.info.sandbox_id;
  event.template_id = sandbox.info.template_id;
  event.name = std::move(name);
  event.success = error.empty();
  event.status_code = status;
  event.error = std::move(error);
  hooks_.record(std::move(event));
}

base::TimePoint LocalSandboxService::Sandbox::deadline() const {
  if (idle_timeout.count() == 0 || !idle_since) return info.end_at;
  return std::min(info.end_at, *idle_since + idle_timeout);
}

// Nobody watches the connections of a sandbox that has no idle timeout.
void LocalSandboxService::renew_connections(const SandboxPtr& sandbox) {
  sandbox->connections = std::make_shared<proxy::LiveConnections>();
  if (sandbox->idle_timeout.count() == 0) return;
  sandbox->idle_since = clock_.now();
  sandbox->connections->on_change([this, weak = std::weak_ptr(sandbox)](bool connected) {
    auto changed = weak.lock();
    if (!changed) return;
    changed->idle_since = connected ? std::nullopt : std::optional(clock_.now());
    expire_sooner();
  });
}

base::Task<> LocalSandboxService::set_extra_memory(std::string id, int mib) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is paused");
  }
  if (mib > cloud::kMaxRamMb - sandbox->base_memory_mb) {
    co_return base::fail(Errc::kInvalidArgument,
                         "the sandbox would have more than " + std::to_string(cloud::kMaxRamMb) +
                             " MiB: at most " +
                             std::to_string(cloud::kMaxRamMb - sandbox->base_memory_mb) +
                             " can be added to its " + std::to_string(sandbox->base_memory_mb));
  }
  int total = sandbox->base_memory_mb + mib;
  SANDLOT_CO_CHECK(sandbox->container->set_memory(total));
  sandbox->info.memory_mb = total;
  auto told = co_await set_agent_memory(sandbox->container->control_fd(),
                                        static_cast<std::int64_t>(total) << 20);
  if (!told && sandbox->state == State::kRunning) {
    base::log::warn("memory.not_told", {{"sandbox", id}, {"error", told.error().message()}});
  }
  co_return base::Result<>();
}

}  // namespace emulator::sandboxes
