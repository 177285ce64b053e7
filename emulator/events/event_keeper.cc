#include "emulator/events/event_keeper.h"

#include <algorithm>

#include "emulator/base/async.h"
#include "emulator/base/log.h"

namespace emulator::events {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
namespace fs = std::filesystem;
using base::Result;
using base::Task;
using store::Statement;

namespace {

constexpr std::chrono::hours kKept{24 * 60};
constexpr std::size_t kMostPending = 10'000;
constexpr std::size_t kLargestBatch = 500;
// More events join a batch, and it delays nobody.
constexpr auto kGather = std::chrono::milliseconds(50);

std::int64_t milliseconds(base::TimePoint time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

std::vector<store::Value> row_of(const cloud::SandboxEvent& event) {
  return store::values(event.sandbox_id, event.template_id, event.name,
                       std::string(event.success ? cloud::kSuccess : cloud::kFailed),
                       std::int64_t{event.status_code}, event.error, milliseconds(event.time));
}

constexpr const char* kInsert =
    "INSERT INTO events (sandbox_id, template_id, name, state, status_code, error, recorded_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)";
// A batch may have been written just before its emulator was killed.
constexpr const char* kInsertOnce =
    "INSERT INTO events (sandbox_id, template_id, name, state, status_code, error, recorded_at) "
    "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM events WHERE "
    "recorded_at = ?7 AND sandbox_id = ?1 AND name = ?3 AND status_code = ?5)";

// By the machine's clock: a test that moves the other one must not lose what others wrote.
Statement forget_old() {
  auto now = std::chrono::system_clock::now();
  return {"DELETE FROM events WHERE recorded_at < ?", store::values(milliseconds(now - kKept))};
}

// Of sandboxes that went with a killed emulator: neither deleted nor, in their row, paused. By the
// machine's clock, but after what happened to them by the other one.
Statement end_of_the_dead() {
  return {
      "INSERT INTO events (sandbox_id, template_id, name, state, status_code, error, recorded_at) "
      "SELECT sandbox_id, max(template_id), 'delete', ?, 500, ?, max(?, max(recorded_at)) "
      "FROM events GROUP BY sandbox_id HAVING sum(name = 'create') > 0 AND "
      "sum(name = 'delete') = 0 AND sandbox_id NOT IN (SELECT sandbox_id FROM paused_sandboxes)",
      store::values(std::string(cloud::kFailed), std::string("the emulator was killed"),
                    milliseconds(std::chrono::system_clock::now()))};
}

struct Condition {
  std::string sql = " FROM events WHERE recorded_at BETWEEN ? AND ?";
  std::vector<store::Value> values;
};

Condition condition_of(const cloud::EventQuery& query) {
  Condition condition;
  condition.values = store::values(milliseconds(query.start), milliseconds(query.end));
  auto add = [&condition](const char* sql, const std::string& value) {
    condition.sql += sql;
    condition.values.emplace_back(value);
  };
  // instr, not LIKE: "%" and "_" are letters here.
  if (!query.sandbox_id.empty()) add(" AND instr(sandbox_id, ?) > 0", query.sandbox_id);
  if (!query.template_id.empty()) add(" AND instr(template_id, ?) > 0", query.template_id);
  if (!query.state.empty()) add(" AND state = ?", query.state);
  if (!query.names.empty()) {
    // One statement, however many names: each is prepared once and kept.
    std::string list = ",";
    for (const std::string& name : query.names) list += name + ",";
    add(" AND instr(?, ',' || name || ',') > 0", list);
  }
  return condition;
}

cloud::SandboxEvent event_of(const store::Row& row) {
  cloud::SandboxEvent event;
  event.number = store::integer(row[0]);
  event.sandbox_id = store::text(row[1]);
  event.template_id = store::text(row[2]);
  event.name = store::text(row[3]);
  event.success = store::text(row[4]) == cloud::kSuccess;
  event.status_code = static_cast<int>(store::integer(row[5]));
  event.error = store::text(row[6]);
  event.time = base::TimePoint(std::chrono::milliseconds(store::integer(row[7])));
  return event;
}

}  // namespace

Result<std::unique_ptr<EventKeeper>> EventKeeper::open(asio::any_io_executor executor,
                                                       store::Database& database,
                                                       const fs::path& directory,
                                                       const std::string& instance) {
  PendingFile::Others others;
  SANDLOT_TRY(PendingFile file, PendingFile::open(directory, instance, others));
  std::vector<Statement> statements = {forget_old()};
  for (const cloud::SandboxEvent& event : others.left) {
    statements.push_back({kInsertOnce, row_of(event)});
  }
  // Whose sandboxes are whose is not written down: with a neighbour some of them may live.
  if (!others.abandoned.empty() && !others.alive) statements.push_back(end_of_the_dead());
  SANDLOT_CHECK(database.transaction_now(statements));
  std::error_code ignored;
  for (const fs::path& path : others.abandoned) fs::remove(path, ignored);
  return std::make_unique<EventKeeper>(std::move(executor), database, std::move(file));
}

EventKeeper::EventKeeper(asio::any_io_executor executor,
                         store::Database& database,
                         PendingFile file)
    : database_(database), file_(std::move(file)), tasks_(std::move(executor)) {}

void EventKeeper::record(cloud::SandboxEvent event) {
  // A sandbox does not fail because its event could not be written down.
  if (auto appended = file_.append(event); !appended) {
    base::log::warn("event.not_durable", {{"sandbox", event.sandbox_id},
                                          {"event", event.name},
                                          {"error", appended.error().message()}});
  }
  if (pending_.size() >= kMostPending) {
    base::log::warn("event.lost", {{"sandbox", pending_.front().sandbox_id}});
    pending_.pop_front();
  }
  pending_.push_back(std::move(event));
  if (writing_) return;
  writing_ = true;
  tasks_.spawn("events", keep_writing());
}

asio::awaitable<void> EventKeeper::keep_writing() {
  while (!pending_.empty()) {
    co_await base::sleep_for(kGather);
    auto written = co_await write_batch();
    if (written) continue;
    base::log::warn("event.not_written", {{"error", written.error().message()}});
    break;  // the next event tries again
  }
  writing_ = false;
}

Task<> EventKeeper::write_batch() {
  if (pending_.empty()) co_return Result<>();
  std::vector<Statement> statements = {forget_old()};
  std::size_t count = std::min(pending_.size(), kLargestBatch);
  for (std::size_t i = 0; i < count; ++i) statements.push_back({kInsert, row_of(pending_[i])});
  std::vector<cloud::SandboxEvent> batch(pending_.begin(),
                                         pending_.begin() + static_cast<std::ptrdiff_t>(count));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  ++in_flight_;
  auto done = co_await database_.transaction(std::move(statements));
  --in_flight_;
  if (!done) {
    pending_.insert(pending_.begin(), batch.begin(), batch.end());
    co_return base::Failure(std::move(done).error());
  }
  // Lines of events that are not in the database yet go with a later batch.
  if (pending_.empty() && in_flight_ == 0) SANDLOT_CO_CHECK(file_.empty());
  co_return Result<>();
}

Task<cloud::EventPage> EventKeeper::find(cloud::EventQuery query) {
  // Calls on the database are done in order: what a batch under way writes is seen.
  while (!pending_.empty()) SANDLOT_CO_CHECK(co_await write_batch());
  Condition condition = condition_of(query);
  auto counted = condition.values;
  SANDLOT_CO_TRY(auto total, co_await database_.query("SELECT count(*)" + condition.sql, counted));
  std::string sql =
      "SELECT event_id, sandbox_id, template_id, name, state, status_code, error, recorded_at" +
      condition.sql + " ORDER BY recorded_at" + (query.oldest_first ? "" : " DESC") + ", event_id" +
      (query.oldest_first ? "" : " DESC") + " LIMIT ? OFFSET ?";
  condition.values.emplace_back(static_cast<std::int64_t>(query.limit));
  condition.values.emplace_back(static_cast<std::int64_t>(query.offset));
  SANDLOT_CO_TRY(auto rows, co_await database_.query(std::move(sql), std::move(condition.values)));
  cloud::EventPage page;
  page.total = static_cast<std::size_t>(store::integer(total.at(0).at(0)));
  for (const store::Row& row : rows) page.items.push_back(event_of(row));
  co_return page;
}

asio::awaitable<void> EventKeeper::stop() {
  tasks_.cancel();
  co_await tasks_.join();
  while (!pending_.empty()) {
    auto written = co_await write_batch();
    if (!written) {
      base::log::warn("event.not_written", {{"error", written.error().message()}});
      break;  // the next emulator finds them in the file
    }
  }
}

}  // namespace emulator::events
