// LocalSandboxService: pausing, going on, and the end of a sandbox's time.
#include <algorithm>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/log.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

base::Task<> LocalSandboxService::set_timeout(std::string id, std::chrono::seconds timeout) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  if (sandbox->state == State::kResetting) {  // it may be paused afterwards
    SANDLOT_CO_TRY(sandbox, co_await find_settled(id));
  }
  if (sandbox->info.state == cloud::SandboxState::kPaused) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + id + "\" is paused");
  }
  sandbox->info.end_at = clock_.now() + timeout;
  expire_sooner();
  co_return base::Result<>();
}

base::Result<> LocalSandboxService::check_room(std::size_t more) const {
  if (!max_running_) return {};
  auto running = static_cast<std::size_t>(
      std::count_if(sandboxes_.begin(), sandboxes_.end(),
                    [](const auto& item) { return item.second->state != State::kPaused; }));
  if (running + starting_ + more <= *max_running_) return {};
  return base::fail(Errc::kResourceExhausted,
                    "Sandbox limit reached: " + std::to_string(*max_running_) +
                        " may run at once (--max-sandboxes)");
}

base::Task<> LocalSandboxService::freeze(SandboxPtr sandbox, bool keep_memory, bool insist) {
  using asio::experimental::awaitable_operators::operator&&;
  sandbox->state = State::kPausing;
  sandbox->info.state = cloud::SandboxState::kPaused;  // shown as paused while it is still pausing
  const base::TimePoint end = std::exchange(sandbox->info.end_at, clock_.now());
  sandbox->connections->cut_all();
  // At once: neither needs the other, and neither counts before both are done.
  auto freezing = sandbox->container->freeze();
  auto writing = write_down(sandbox, !keep_memory);
  auto [frozen, written] = co_await (std::move(freezing) && std::move(writing));
  if (!frozen) co_await strike_out(sandbox);
  if (frozen && !written && insist && sandbox->state != State::kGone) {
    co_await sandbox->container->thaw();
    frozen = std::move(written);
  }
  if (frozen && !keep_memory && sandbox->state != State::kGone) co_await end_container(sandbox);
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox->info.sandbox_id + "\" not found");
  }
  if (!frozen) {
    sandbox->state = State::kRunning;
    sandbox->info.state = cloud::SandboxState::kRunning;
    sandbox->info.end_at = end;
    sandbox->files_only = false;
    renew_connections(sandbox);
  } else {
    sandbox->state = State::kPaused;
    if (sandbox->container) sandbox->container->give_memory_back();
    note(*sandbox, "pause", 204);
  }
  sandbox->settled.cancel();
  co_return frozen;
}

void LocalSandboxService::begin_life(Sandbox& sandbox, std::chrono::seconds lifetime) const {
  sandbox.info.started_at = clock_.now();
  sandbox.info.end_at = sandbox.info.started_at + lifetime;
}

base::Task<> LocalSandboxService::thaw(SandboxPtr sandbox, std::chrono::seconds lifetime) {
  SANDLOT_CO_CHECK(check_room());
  sandbox->state = State::kResuming;
  auto secrets = co_await newest_secrets(sandbox, !sandbox->container);
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox->info.sandbox_id + "\" not found");
  }
  give_secrets(*sandbox, std::move(secrets));
  auto going_on = sandbox->container ? sandbox->container->thaw() : revive(sandbox);
  auto thawed = co_await std::move(going_on);
  if (sandbox->state == State::kGone) {
    co_return base::fail(Errc::kNotFound, "sandbox \"" + sandbox->info.sandbox_id + "\" not found");
  }
  sandbox->state = thawed ? State::kRunning : State::kPaused;
  if (thawed) {
    sandbox->stuck = false;
    sandbox->info.state = cloud::SandboxState::kRunning;
    begin_life(*sandbox, lifetime);
    renew_connections(sandbox);
    note(*sandbox, "resume", 201);
    sandbox->metrics.restart();
    sandbox->files_only = false;
    co_await tell_clock(sandbox);
    (void)co_await strike_out(sandbox);
  }
  sandbox->settled.cancel();
  co_return thawed;
}

base::Task<> LocalSandboxService::pause(std::string id, bool keep_memory) {
  return suspend(std::move(id), keep_memory, true);
}

base::Task<> LocalSandboxService::suspend(std::string id, bool keep_memory, bool insist) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, find(id));
  if (sandbox->state == State::kResuming || sandbox->state == State::kCapturing ||
      sandbox->state == State::kResetting) {
    SANDLOT_CO_TRY(sandbox, co_await find_settled(id));
  }
  if (sandbox->state != State::kRunning) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is already paused");
  }
  co_return co_await freeze(sandbox, keep_memory, insist);
}

base::Task<cloud::Connected> LocalSandboxService::connect(
    std::string id, std::chrono::seconds timeout, std::optional<cloud::NetworkOptions> network) {
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  // A call that is refused changes nothing.
  if (sandbox->state == State::kPaused) SANDLOT_CO_CHECK(check_room());
  std::optional<NetworkBefore> network_before;
  if (network) {
    network_before.emplace(NetworkBefore{sandbox->info.network, sandbox->policy});
    SANDLOT_CO_CHECK(co_await change_network(sandbox, std::move(*network)));
    SANDLOT_CO_TRY(sandbox, co_await find_steady(id));
  }
  cloud::Connected connected;
  if (sandbox->state == State::kPaused) {
    SANDLOT_CO_CHECK(co_await thaw_changed(sandbox, timeout, std::move(network_before)));
    connected.resumed = true;
  } else {
    sandbox->info.end_at = std::max(sandbox->info.end_at, clock_.now() + timeout);
    if (sandbox->idle_since) sandbox->idle_since = clock_.now();
  }
  note(*sandbox, "connect", connected.resumed ? 201 : 200);
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
  if (sandbox->state == State::kPaused) SANDLOT_CO_CHECK(check_room());
  std::optional<NetworkBefore> network_before;
  if (network && sandbox->state == State::kPaused) {
    network_before.emplace(NetworkBefore{sandbox->info.network, sandbox->policy});
    SANDLOT_CO_CHECK(co_await change_network(sandbox, std::move(*network)));
    SANDLOT_CO_TRY(sandbox, co_await find_steady(id));
  }
  if (sandbox->state != State::kPaused) {
    co_return base::fail(Errc::kConflict, "sandbox \"" + id + "\" is already running");
  }
  SANDLOT_CO_CHECK(co_await thaw_changed(sandbox, timeout, std::move(network_before)));
  if (auto_pause) sandbox->info.auto_pause = *auto_pause;
  expire_sooner();
  co_return sandbox->info;
}

base::Task<> LocalSandboxService::resume(std::string id) {
  constexpr std::chrono::seconds kShortest{300};
  SANDLOT_CO_TRY(SandboxPtr sandbox, co_await find_steady(id));
  if (sandbox->state != State::kPaused) co_return base::Result<>();
  SANDLOT_CO_CHECK(co_await thaw(sandbox, std::max(sandbox->lifetime, kShortest)));
  expire_sooner();
  co_return base::Result<>();
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
      base::TimePoint deadline = sandbox->deadline();
      if (deadline <= now) due.push_back(sandbox);
      next = std::min(next, deadline);
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

asio::awaitable<void> LocalSandboxService::end_of_life(SandboxPtr sandbox) {
  if (sandbox->state != State::kRunning) co_return;
  const std::string id = sandbox->info.sandbox_id;
  // Not while the earlier ones were ending.
  if (sandbox->deadline() > clock_.now()) co_return;
  bool pauses = sandbox->info.auto_pause;
  note(*sandbox, "timeout", 200);
  // At the end of its time it pauses even when that cannot be written down (a full disk).
  auto ending = pauses ? suspend(id, sandbox->info.auto_pause_memory, false) : kill(id);
  auto ended = co_await std::move(ending);
  if (ended) {
    base::log::info("sandbox.timeout", {{"sandbox", id}, {"then", pauses ? "paused" : "killed"}});
    co_return;
  }
  base::log::error("sandbox.timeout_failed", {{"sandbox", id}, {"error", ended.error().message()}});
  note(*sandbox, "timeout", 500, ended.error().message());
  // A sandbox that cannot be paused at its end must not live for ever.
  if (pauses) co_await kill(id);
}

}  // namespace emulator::sandboxes
