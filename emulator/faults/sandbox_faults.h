// The faults of single sandboxes: what happens once, and what stays in force until it is removed,
// its time is up by the emulator's clock, or the sandbox (or the container that it was done to) is
// gone. Used by the control routes and, for names, by the DNS forwarder. How it is done is the
// composition's: SandboxActions. One change at a time; lives on one executor.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/base/clock.h"
#include "emulator/base/task_group.h"
#include "emulator/base/turns.h"
#include "emulator/faults/fault_rules.h"
#include "netfilter/domain_pattern.h"

namespace emulator::faults {

enum class SandboxFaultType {
  // Once.
  kKillDaemon,
  kOom,
  kResetPeer,
  // For a time.
  kFreeze,
  kLatency,
  kDiskFull,
  kBandwidth,
  kDnsNxdomain,
};
inline bool lasts(SandboxFaultType type) {
  return type >= SandboxFaultType::kFreeze;
}

// What somebody asks for.
struct SandboxFault {
  SandboxFaultType type = SandboxFaultType::kFreeze;
  std::optional<std::chrono::milliseconds> duration;  // nullopt = no end
  std::optional<std::uint64_t> times;                 // latency, dns_nxdomain
  std::chrono::milliseconds latency{};                // latency
  std::uint64_t bytes_per_second = 0;                 // bandwidth
  std::vector<std::string> names;                     // dns_nxdomain: as in network.allowOut
};

// One that is in force.
struct StandingFault {
  std::string id;
  std::string sandbox;
  SandboxFault what;
  std::optional<base::TimePoint> until;
  std::uint64_t hits = 0;  // latency, dns_nxdomain
};

// Which container of the sandbox there is now (another number after it started anew), and whether
// it stands still by a fault.
struct SandboxLife {
  unsigned container = 0;
  bool stuck = false;
};

// What is done to a sandbox. kNotFound when there is none. All are set.
struct SandboxActions {
  // nullopt when there is none.
  std::function<std::optional<SandboxLife>(const std::string& id)> life_of;
  std::function<base::Result<>(const std::string& id)> kill_daemon;
  // Resets every connection that it has.
  std::function<base::Result<>(const std::string& id)> reset_peers;
  std::function<base::Task<>(std::string id)> kill_largest;
  // Stops everything in it, or lets it go on, without the cloud's knowing.
  std::function<base::Task<>(std::string id, bool frozen)> freeze;
  std::function<base::Task<>(std::string id, bool full)> disk_full;
  std::function<base::Task<>(std::string id, std::optional<std::uint64_t> bytes_per_second)>
      bandwidth;
  // Whether the emulator answers the sandboxes' questions for names; the reason if not.
  std::function<base::Result<>()> answers_names;
};

class SandboxFaults {
 public:
  // Both outlive it. `rules` makes requests wait.
  SandboxFaults(boost::asio::any_io_executor executor, base::Clock& clock, FaultRules& rules);
  SandboxFaults(const SandboxFaults&) = delete;
  SandboxFaults& operator=(const SandboxFaults&) = delete;

  // Before anything else.
  void set_actions(SandboxActions actions) { actions_ = std::move(actions); }

  // nullopt for what happens once. A freeze, a full disk or a bandwidth takes the place of an
  // earlier one. kNotFound, kConflict (paused), kFailedPrecondition, kUnimplemented (this kernel
  // cannot), kResourceExhausted (too many): then nothing has changed.
  base::Task<std::optional<StandingFault>> inflict(std::string sandbox, SandboxFault fault);
  // Ends all of the sandbox; how many there were. kNotFound without it.
  base::Task<std::size_t> heal(std::string sandbox);
  // Ends all of all sandboxes.
  base::Task<std::size_t> heal_all();
  // False when there is none by that id.
  base::Task<bool> remove(std::string id);
  // After all sandboxes have been killed: how many were forgotten.
  std::size_t forget_all();

  // In the order of making; of one sandbox, or ("") of all.
  std::vector<StandingFault> list(std::string_view sandbox = "");
  bool exists(const std::string& sandbox) const { return actions_.life_of(sandbox).has_value(); }
  // Whether this question of the sandbox is to be answered by NXDOMAIN; counts as having been.
  // `name` in lower case, without a dot at the end.
  bool hides_name(std::string_view sandbox, std::string_view name);

  boost::asio::awaitable<void> stop();

 private:
  struct Item {
    StandingFault standing;
    unsigned container = 0;
    std::vector<netfilter::DomainPattern> patterns;
  };

  base::Task<> act(std::string sandbox, SandboxFault fault);
  base::Task<> undo(std::string sandbox, SandboxFaultType type, std::string id);
  base::Task<> end(std::string id);
  base::Task<std::size_t> end_all(std::vector<std::string> ids);
  bool in_force(const Item& item) const;
  void prune();
  void drop(std::string_view id);
  std::vector<std::string> ids_of(std::string_view sandbox);
  boost::asio::awaitable<void> expire();

  base::Clock& clock_;
  FaultRules& rules_;
  SandboxActions actions_;
  std::list<Item> items_;
  base::Turns turns_;  // of whatever changes something
  boost::asio::steady_timer deadline_changed_;
  bool expiring_ = false;
  bool stopping_ = false;
  base::TaskGroup tasks_;
};

}  // namespace emulator::faults
