// The log lines of one sandbox, and questions about them: GET /sandboxes/{id}/logs and its v2
// (contract-novita 2.5). Values, and the port to whoever keeps them (emulator/events). Pure but for
// the port.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"

namespace fakeapi::cloud {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
std::string_view to_string(LogLevel level);

struct LogEntry {
  base::TimePoint time;
  LogLevel level = LogLevel::kInfo;
  std::string message;
  std::map<std::string, std::string> fields;
};

struct LogQuery {
  // Milliseconds: forward, those at or after it; backward, those at or before it.
  base::TimePoint from;
  bool backward = false;
  std::size_t limit = 1000;
  LogLevel level = LogLevel::kDebug;  // and above
  std::string search;                 // a part of the message, case matters
};

class LogSource {
 public:
  virtual ~LogSource() = default;
  // Oldest first, as many as are kept; those of ended sandboxes, too. kNotFound: never heard of it.
  virtual base::Task<std::vector<LogEntry>> logs(std::string sandbox_id) = 0;
};

// {start?, limit?}, and {cursor?, limit?, direction?, level?, search?}. kInvalidArgument for bad
// values.
base::Result<LogQuery> parse_log_query(std::string_view query);
base::Result<LogQuery> parse_log_query_v2(std::string_view query);

// What the query asks for, in its direction.
std::vector<LogEntry> select(std::vector<LogEntry> entries, const LogQuery& query);

}  // namespace fakeapi::cloud
