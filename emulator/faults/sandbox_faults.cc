#include "emulator/faults/sandbox_faults.h"

#include <algorithm>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/log.h"

namespace emulator::faults {

namespace asio = boost::asio;
using base::Errc;
using Type = SandboxFaultType;

namespace {

constexpr auto kNoEnd = asio::steady_timer::time_point::max();

base::Failure not_found(const std::string& sandbox) {
  return base::fail(Errc::kNotFound, "sandbox \"" + sandbox + "\" not found");
}

// There is one at most of a sandbox.
bool stands_alone(Type type) {
  return type == Type::kFreeze || type == Type::kDiskFull || type == Type::kBandwidth;
}

}  // namespace

SandboxFaults::SandboxFaults(asio::any_io_executor executor, base::Clock& clock, FaultRules& rules)
    : clock_(clock),
      rules_(rules),
      turns_(executor),
      deadline_changed_(executor, kNoEnd),
      tasks_(executor) {}

base::Task<std::optional<StandingFault>> SandboxFaults::inflict(std::string sandbox,
                                                                SandboxFault fault) {
  using Answer = base::Result<std::optional<StandingFault>>;
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  if (!exists(sandbox)) co_return not_found(sandbox);
  prune();
  if (lasts(fault.type) && items_.size() >= FaultRules::kMostRules) {
    co_return base::fail(Errc::kResourceExhausted, "there are too many faults already");
  }
  Item item;
  item.standing.sandbox = sandbox;
  item.standing.what = fault;
  for (const std::string& name : fault.names) item.patterns.emplace_back(name);
  if (fault.type == Type::kLatency) {
    Rule rule;
    rule.sandbox = sandbox;
    rule.times = fault.times;
    rule.effect.latency = fault.latency;
    rule.of_sandbox_fault = true;
    SANDLOT_CO_TRY(Rule made, rules_.add(std::move(rule)));
    item.standing.id = made.id;
  } else {
    SANDLOT_CO_CHECK(co_await act(sandbox, fault));
    if (!lasts(fault.type)) co_return Answer(std::nullopt);
    item.standing.id = rules_.draw_id();
  }
  auto life = actions_.life_of(sandbox);
  if (!life) {
    rules_.remove(item.standing.id);
    co_return not_found(sandbox);
  }
  item.container = life->container;
  if (fault.duration) item.standing.until = clock_.now() + *fault.duration;
  if (stands_alone(fault.type)) {
    items_.remove_if([&](const Item& other) {
      return other.standing.sandbox == sandbox && other.standing.what.type == fault.type;
    });
  }
  items_.push_back(std::move(item));
  if (fault.duration && !expiring_) {
    expiring_ = true;
    tasks_.spawn("faults", expire());
  }
  deadline_changed_.cancel();
  co_return Answer(items_.back().standing);
}

base::Task<> SandboxFaults::act(std::string sandbox, SandboxFault fault) {
  switch (fault.type) {
    case Type::kKillDaemon:
      co_return actions_.kill_daemon(sandbox);
    case Type::kResetPeer:
      co_return actions_.reset_peers(sandbox);
    case Type::kOom:
      co_return co_await actions_.kill_largest(std::move(sandbox));
    case Type::kFreeze:
      co_return co_await actions_.freeze(std::move(sandbox), true);
    case Type::kDiskFull:
      co_return co_await actions_.disk_full(std::move(sandbox), true);
    case Type::kBandwidth:
      co_return co_await actions_.bandwidth(std::move(sandbox), fault.bytes_per_second);
    case Type::kDnsNxdomain:
      co_return actions_.answers_names();
    case Type::kLatency:
      break;
  }
  co_return base::Result<>();
}

base::Task<> SandboxFaults::undo(std::string sandbox, Type type, std::string id) {
  if (type == Type::kLatency) rules_.remove(id);
  if (type == Type::kDiskFull) co_return co_await actions_.disk_full(std::move(sandbox), false);
  if (type == Type::kBandwidth) {
    co_return co_await actions_.bandwidth(std::move(sandbox), std::nullopt);
  }
  if (type != Type::kFreeze) co_return base::Result<>();
  auto thawed = co_await actions_.freeze(std::move(sandbox), false);
  // Paused meanwhile: it goes on when it is resumed.
  if (!thawed && thawed.error().code() == Errc::kConflict) co_return base::Result<>();
  co_return thawed;
}

// In one's turn. After an error it is still in force.
base::Task<> SandboxFaults::end(std::string id) {
  auto found = std::find_if(items_.begin(), items_.end(),
                            [&](const Item& item) { return item.standing.id == id; });
  if (found == items_.end()) co_return base::Result<>();
  if (in_force(*found)) {
    auto undoing = undo(found->standing.sandbox, found->standing.what.type, id);
    auto undone = co_await std::move(undoing);
    bool gone = !undone && undone.error().code() == Errc::kNotFound;
    if (!undone && !gone) co_return undone;
  }
  drop(id);
  co_return base::Result<>();
}

base::Task<std::size_t> SandboxFaults::end_all(std::vector<std::string> ids) {
  for (const std::string& id : ids) SANDLOT_CO_CHECK(co_await end(id));
  co_return ids.size();
}

base::Task<std::size_t> SandboxFaults::heal(std::string sandbox) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  if (!exists(sandbox)) co_return not_found(sandbox);
  co_return co_await end_all(ids_of(sandbox));
}

base::Task<std::size_t> SandboxFaults::heal_all() {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  co_return co_await end_all(ids_of(""));
}

base::Task<bool> SandboxFaults::remove(std::string id) {
  SANDLOT_CO_TRY(base::Turn turn, co_await turns_.take());
  auto ids = ids_of("");
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) co_return false;
  SANDLOT_CO_CHECK(co_await end(std::move(id)));
  co_return true;
}

std::size_t SandboxFaults::forget_all() {
  std::size_t count = items_.size();
  for (const Item& item : items_) rules_.remove(item.standing.id);
  items_.clear();
  return count;
}

bool SandboxFaults::in_force(const Item& item) const {
  auto life = actions_.life_of(item.standing.sandbox);
  if (!life) return false;
  Type type = item.standing.what.type;
  if (type == Type::kFreeze) return life->stuck;  // a resume ends it, too
  bool of_container = type == Type::kDiskFull || type == Type::kBandwidth;
  return !of_container || life->container == item.container;
}

void SandboxFaults::drop(std::string_view id) {
  rules_.remove(id);
  items_.remove_if([&](const Item& item) { return item.standing.id == id; });
}

void SandboxFaults::prune() {
  std::vector<std::string> over;
  for (const Item& item : items_) {
    if (!in_force(item)) over.push_back(item.standing.id);
  }
  for (const std::string& id : over) drop(id);
}

std::vector<std::string> SandboxFaults::ids_of(std::string_view sandbox) {
  std::vector<std::string> ids;
  for (const StandingFault& fault : list(sandbox)) ids.push_back(fault.id);
  return ids;
}

std::vector<StandingFault> SandboxFaults::list(std::string_view sandbox) {
  prune();
  std::vector<StandingFault> faults;
  for (const Item& item : items_) {
    if (!sandbox.empty() && item.standing.sandbox != sandbox) continue;
    faults.push_back(item.standing);
    if (item.standing.what.type == Type::kLatency) {
      faults.back().hits = rules_.hits(item.standing.id);
    }
  }
  return faults;
}

bool SandboxFaults::hides_name(std::string_view sandbox, std::string_view name) {
  for (Item& item : items_) {
    StandingFault& standing = item.standing;
    if (standing.what.type != Type::kDnsNxdomain || standing.sandbox != sandbox) continue;
    if (standing.what.times && standing.hits >= *standing.what.times) continue;
    if (standing.until && *standing.until <= clock_.now()) continue;
    auto matches = [&](const netfilter::DomainPattern& pattern) { return pattern.matches(name); };
    if (std::none_of(item.patterns.begin(), item.patterns.end(), matches)) continue;
    ++standing.hits;
    return true;
  }
  return false;
}

asio::awaitable<void> SandboxFaults::expire() {
  using asio::experimental::awaitable_operators::operator||;
  while (!stopping_) {
    base::TimePoint now = clock_.now();
    base::TimePoint next = base::TimePoint::max();
    std::string due;
    for (const Item& item : items_) {
      if (!item.standing.until) continue;
      if (*item.standing.until <= now && due.empty()) due = item.standing.id;
      next = std::min(next, *item.standing.until);
    }
    if (!due.empty()) {
      auto turn = co_await turns_.take();
      auto ended = co_await end(due);
      if (ended) continue;
      base::log::error("fault.not_ended", {{"fault", due}, {"error", ended.error().message()}});
      // It stays until somebody removes it.
      for (Item& item : items_) {
        if (item.standing.id == due) item.standing.until.reset();
      }
    } else if (next == base::TimePoint::max()) {
      co_await deadline_changed_.async_wait(base::kUse);
    } else {
      co_await (clock_.sleep_until(next) || deadline_changed_.async_wait(base::kUse));
    }
  }
}

asio::awaitable<void> SandboxFaults::stop() {
  stopping_ = true;
  deadline_changed_.cancel();
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace emulator::faults
