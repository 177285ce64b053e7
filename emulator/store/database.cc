#include "emulator/store/database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>

#include "emulator/base/posix.h"
#include "emulator/store/schema.h"

#include <sqlite3.h>

namespace emulator::store {

namespace {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;

// Another emulator holds the file for one transaction at a time.
constexpr int kBusyMilliseconds = 5000;
constexpr std::size_t kMaxPrepared = 128;
// A file up to this size is looked through when it is opened: it costs under 10 ms.
constexpr std::uintmax_t kLookThrough = 8U << 20U;

struct StatementCloser {
  void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
using Prepared = std::unique_ptr<sqlite3_stmt, StatementCloser>;

struct ConnectionCloser {
  void operator()(sqlite3* handle) const { ::sqlite3_close_v2(handle); }
};

Errc code_of(int result, int extended, int os_errno) {
  bool full = os_errno == ENOSPC || os_errno == EDQUOT;
  switch (result) {
    case SQLITE_FULL:
      return Errc::kNoSpace;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::kUnavailable;
    case SQLITE_CONSTRAINT:
      return extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? Errc::kAlreadyExists
                 : Errc::kInvalidArgument;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return Errc::kPermissionDenied;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return full ? Errc::kNoSpace : Errc::kInternal;
    case SQLITE_TOOBIG:
      return Errc::kTooLarge;
    default:
      return Errc::kInternal;
  }
}

}  // namespace

std::int64_t integer(const Value& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  return number == nullptr ? 0 : *number;
}

const std::string& text(const Value& value) {
  static const std::string kNone;
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes;
  const auto* found = std::get_if<std::string>(&value);
  return found == nullptr ? kNone : *found;
}

// The handle and its prepared statements; one thread at a time.
class Database::Connection {
 public:
  explicit Connection(fs::path file) : file_(std::move(file)) {}

  Result<> open();
  Result<Changed> exec(const std::string& sql, const std::vector<Value>& values);
  // Without waiting for the disk.
  Result<Changed> exec_unsynced(const std::string& sql, const std::vector<Value>& values);
  Result<std::vector<Row>> query(const std::string& sql, const std::vector<Value>& values);
  Result<std::vector<Changed>> transaction(const std::vector<Statement>& statements);

 private:
  Result<> run_script(const std::string& sql);
  Result<> configure();
  Result<> migrate();
  Result<> apply_steps();
  Result<std::int64_t> version();
  Result<> look_through();
  Result<sqlite3_stmt*> prepare(const std::string& sql);
  Result<> bind(sqlite3_stmt* statement, const std::vector<Value>& values);
  Result<std::vector<Row>> step_through(sqlite3_stmt* statement);
  base::Failure failure(int result) const;

  fs::path file_;
  std::unique_ptr<sqlite3, ConnectionCloser> handle_;
  std::map<std::string, Prepared, std::less<>> prepared_;  // finalized before the handle closes
};

base::Failure Database::Connection::failure(int result) const {
  int extended = ::sqlite3_extended_errcode(handle_.get());
  int os_errno = ::sqlite3_system_errno(handle_.get());
  Errc code = code_of(result & 0xff, extended, os_errno);
  std::string message = file_.string() + ": ";
  if ((result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB) {
    message += "the database is damaged (" + std::string(::sqlite3_errmsg(handle_.get())) +
               "); move it away, with the files beside it, to start with an empty one";
  } else if (code == Errc::kNoSpace) {
    message += "no space left on the disk";
  } else {
    message += ::sqlite3_errmsg(handle_.get());
  }
  return base::fail(base::Error(code, std::move(message), os_errno));
}

Result<> Database::Connection::run_script(const std::string& sql) {
  int result = ::sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return failure(result);
  return {};
}

Result<> Database::Connection::open() {
  // There are secrets in it. SQLite gives the files beside it the same mode.
  SANDLOT_TRY(base::UniqueFd made, base::open_file(file_, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (::fchmod(made.get(), 0600) != 0) return base::fail_errno("mode of " + file_.string());
  made.reset();
  sqlite3* opened = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int result = ::sqlite3_open_v2(file_.c_str(), &opened, kFlags, nullptr);
  handle_.reset(opened);
  if (opened == nullptr) return base::fail(Errc::kResourceExhausted, "no memory for the database");
  if (result != SQLITE_OK) return failure(result);
  SANDLOT_CHECK(configure());
  SANDLOT_CHECK(migrate());
  return look_through();
}

Result<> Database::Connection::configure() {
  ::sqlite3_busy_timeout(handle_.get(), kBusyMilliseconds);
  // FULL: a commit is on the disk, not only in the kernel's memory (docs/state.md has what it
  // costs).
  return run_script(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
      "PRAGMA journal_size_limit = 4194304;");
}

Result<std::int64_t> Database::Connection::version() {
  SANDLOT_TRY(auto rows, query("PRAGMA user_version", {}));
  return rows.empty() ? 0 : integer(rows.front().front());
}

Result<> Database::Connection::migrate() {
  auto newest = static_cast<std::int64_t>(schema_steps().size());
  SANDLOT_TRY(std::int64_t now, version());
  if (now > newest) {
    return base::fail(Errc::kFailedPrecondition,
                      file_.string() + ": made by a newer Sandlot (version " + std::to_string(now) +
                          " of its tables, this one knows " + std::to_string(newest) +
                          "); use that one, or another --data-dir");
  }
  if (now == newest) return {};
  // Of two emulators that start at once, one does it.
  SANDLOT_CHECK(run_script("BEGIN IMMEDIATE"));
  auto applied = apply_steps();
  if (applied) applied = run_script("COMMIT");
  if (!applied) (void)run_script("ROLLBACK");
  return applied;
}

Result<> Database::Connection::apply_steps() {
  auto steps = schema_steps();
  SANDLOT_TRY(std::int64_t now, version());
  for (auto next = static_cast<std::size_t>(now); next < steps.size(); ++next) {
    SANDLOT_CHECK(run_script(std::string(steps[next])));
    SANDLOT_CHECK(run_script("PRAGMA user_version = " + std::to_string(next + 1)));
  }
  return {};
}

Result<> Database::Connection::look_through() {
  std::error_code error;
  auto size = fs::file_size(file_, error);
  if (error || size > kLookThrough) return {};
  SANDLOT_TRY(auto rows, query("PRAGMA quick_check(1)", {}));
  const std::string& found = rows.empty() ? std::string() : text(rows.front().front());
  if (found == "ok") return {};
  return base::fail(Errc::kInternal, file_.string() + ": the database is damaged (" + found +
                                         "); move it away, with the files beside it, to start "
                                         "with an empty one");
}

Result<sqlite3_stmt*> Database::Connection::prepare(const std::string& sql) {
  auto found = prepared_.find(sql);
  if (found != prepared_.end()) return found->second.get();
  sqlite3_stmt* made = nullptr;
  int result = ::sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  Prepared statement(made);
  if (result != SQLITE_OK) return failure(result);
  if (!statement) return base::fail(Errc::kInvalidArgument, "an empty statement");
  if (prepared_.size() >= kMaxPrepared) prepared_.clear();
  prepared_.emplace(sql, std::move(statement));
  return made;
}

Result<> Database::Connection::bind(sqlite3_stmt* statement, const std::vector<Value>& values) {
  if (::sqlite3_bind_parameter_count(statement) != static_cast<int>(values.size())) {
    return base::fail(Errc::kInvalidArgument,
                      "wrong number of parameters: " + std::string(::sqlite3_sql(statement)));
  }
  int index = 0;
  for (const Value& value : values) {
    ++index;
    int result = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      result = ::sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* words = std::get_if<std::string>(&value)) {
      result = ::sqlite3_bind_text64(statement, index, words->data(), words->size(), SQLITE_STATIC,
                                     SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      result = ::sqlite3_bind_blob64(statement, index, blob->bytes.data(), blob->bytes.size(),
                                     SQLITE_STATIC);
      // A null pointer would be NULL.
      if (blob->bytes.empty()) result = ::sqlite3_bind_zeroblob(statement, index, 0);
    } else {
      result = ::sqlite3_bind_null(statement, index);
    }
    if (result != SQLITE_OK) return failure(result);
  }
  return {};
}

namespace {

Value column(sqlite3_stmt* statement, int index) {
  int type = ::sqlite3_column_type(statement, index);
  if (type == SQLITE_INTEGER) return ::sqlite3_column_int64(statement, index);
  if (type == SQLITE_NULL) return std::monostate();
  const void* bytes = ::sqlite3_column_blob(statement, index);
  auto size = static_cast<std::size_t>(::sqlite3_column_bytes(statement, index));
  std::string copy(size == 0 ? "" : static_cast<const char*>(bytes), size);
  if (type == SQLITE_BLOB) return Blob{std::move(copy)};
  return copy;  // a real number too, as text: no table has any
}

}  // namespace

Result<std::vector<Row>> Database::Connection::step_through(sqlite3_stmt* statement) {
  std::vector<Row> rows;
  for (;;) {
    int result = ::sqlite3_step(statement);
    if (result == SQLITE_DONE) return rows;
    if (result != SQLITE_ROW) return failure(result);
    Row row;
    int columns = ::sqlite3_column_count(statement);
    for (int index = 0; index < columns; ++index) row.push_back(column(statement, index));
    rows.push_back(std::move(row));
  }
}

Result<std::vector<Row>> Database::Connection::query(const std::string& sql,
                                                     const std::vector<Value>& values) {
  SANDLOT_TRY(sqlite3_stmt * statement, prepare(sql));
  SANDLOT_CHECK(bind(statement, values));
  auto rows = step_through(statement);
  ::sqlite3_reset(statement);
  ::sqlite3_clear_bindings(statement);
  return rows;
}

Result<Changed> Database::Connection::exec(const std::string& sql,
                                           const std::vector<Value>& values) {
  SANDLOT_CHECK(query(sql, values));
  return Changed{::sqlite3_changes64(handle_.get()), ::sqlite3_last_insert_rowid(handle_.get())};
}

Result<Changed> Database::Connection::exec_unsynced(const std::string& sql,
                                                    const std::vector<Value>& values) {
  // In WAL mode NORMAL writes to the log and syncs it at a checkpoint: consistent, whenever the
  // power fails. Compiled anew each time: a prepared PRAGMA has had its effect already.
  SANDLOT_CHECK(run_script("PRAGMA synchronous = NORMAL"));
  auto done = exec(sql, values);
  SANDLOT_CHECK(run_script("PRAGMA synchronous = FULL"));
  return done;
}

Result<std::vector<Changed>> Database::Connection::transaction(
    const std::vector<Statement>& statements) {
  // IMMEDIATE: one that reads first could not become a writer while another one writes.
  SANDLOT_CHECK(exec("BEGIN IMMEDIATE", {}));
  std::vector<Changed> all;
  for (const Statement& statement : statements) {
    auto done = exec(statement.sql, statement.values);
    if (!done) {
      (void)exec("ROLLBACK", {});  // a full disk may have rolled back already
      return base::fail(std::move(done).error());
    }
    all.push_back(*done);
  }
  auto committed = exec("COMMIT", {});
  if (!committed) {
    (void)exec("ROLLBACK", {});
    return base::fail(std::move(committed).error());
  }
  return all;
}

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const fs::path& file) {
  auto connection = std::make_unique<Connection>(file);
  SANDLOT_CHECK(connection->open());
  return std::unique_ptr<Database>(new Database(std::move(connection)));
}

base::BlockingPool& Database::thread() {
  if (!thread_) thread_.emplace(1U);
  return *thread_;
}

base::Task<Changed> Database::exec(std::string sql,
                                   std::vector<Value> values,
                                   Durability durability) {
  bool synced = durability == Durability::kMachine;
  auto work = [raw = connection_.get(), sql = std::move(sql), values = std::move(values), synced] {
    return synced ? raw->exec(sql, values) : raw->exec_unsynced(sql, values);
  };
  co_return co_await base::offload(thread(), std::move(work));
}

base::Task<std::vector<Row>> Database::query(std::string sql, std::vector<Value> values) {
  auto work = [raw = connection_.get(), sql = std::move(sql), values = std::move(values)] {
    return raw->query(sql, values);
  };
  co_return co_await base::offload(thread(), std::move(work));
}

base::Task<std::vector<Changed>> Database::transaction(std::vector<Statement> statements) {
  auto work = [raw = connection_.get(), statements = std::move(statements)] {
    return raw->transaction(statements);
  };
  co_return co_await base::offload(thread(), std::move(work));
}

Result<std::vector<Row>> Database::query_now(const std::string& sql,
                                             const std::vector<Value>& values) {
  return connection_->query(sql, values);
}

Result<std::vector<Changed>> Database::transaction_now(const std::vector<Statement>& statements) {
  return connection_->transaction(statements);
}

}  // namespace emulator::store
