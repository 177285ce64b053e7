// What must outlive the emulator, in one SQLite file: <data-dir>/sandlot.db. A committed change
// survives the death of the emulator at any moment. Used by every feature with state (schema.cc has
// the tables); knows none of them. Two emulators may share the file: a row that belongs to one of
// them must name it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "emulator/base/async.h"
#include "emulator/base/result.h"

namespace emulator::store {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

// monostate is NULL.
using Value = std::variant<std::monostate, std::int64_t, std::string, Blob>;
using Row = std::vector<Value>;

// Of a column whose type is known; a NULL, or another type, is 0 or "".
std::int64_t integer(const Value& value);
const std::string& text(const Value& value);  // of a blob, its bytes

// The parameters of a statement, without braces (they must not stand beside a co_await):
//   co_await database.exec("DELETE FROM volumes WHERE volume_id = ?", store::values(id));
template <class... T>
std::vector<Value> values(T&&... items) {
  std::vector<Value> list;
  list.reserve(sizeof...(items));
  (list.emplace_back(std::forward<T>(items)), ...);
  return list;
}

// One statement with its parameters, in the order of its question marks.
struct Statement {
  std::string sql;
  std::vector<Value> values;
};

struct Changed {
  std::int64_t rows = 0;
  std::int64_t last_id = 0;  // of the last INSERT into a table with integer keys
};

// What a commit has survived when its call returns.
enum class Durability {
  kMachine,  // a power failure, too: it is on the disk
  // The end of this process, however it ends. The disk has it with the next commit of the other
  // kind, or a checkpoint.
  kProcess,
};

// Every call runs on the database's own thread, in the order of the calls, and is not cancelled by
// a cancellation of its caller. `sql` should be a constant: it is prepared once. Errors: kNoSpace
// (disk full: nothing was changed), kAlreadyExists (a key that must be unique), kUnavailable (the
// other emulator on this file did not let go), kInternal (damaged file; or a bug: bad SQL).
class Database {
 public:
  // Makes the file (mode 0600) when there is none, and brings it up to date. Blocking.
  // kFailedPrecondition: a newer emulator wrote it.
  static base::Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // INSERT, UPDATE, DELETE.
  base::Task<Changed> exec(std::string sql,
                           std::vector<Value> values = {},
                           Durability durability = Durability::kMachine);
  base::Task<std::vector<Row>> query(std::string sql, std::vector<Value> values = {});
  // All of them or none.
  base::Task<std::vector<Changed>> transaction(std::vector<Statement> statements);

  // The same, blocking, for the start: before any call above, and with no thread made.
  base::Result<std::vector<Row>> query_now(const std::string& sql,
                                           const std::vector<Value>& values = {});
  base::Result<std::vector<Changed>> transaction_now(const std::vector<Statement>& statements);

 private:
  class Connection;
  explicit Database(std::unique_ptr<Connection> connection);

  base::BlockingPool& thread();

  std::unique_ptr<Connection> connection_;    // used on the thread
  std::optional<base::BlockingPool> thread_;  // joined first; made by the first call
};

}  // namespace emulator::store
