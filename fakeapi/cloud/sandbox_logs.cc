#include "fakeapi/cloud/sandbox_logs.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;

namespace {

constexpr std::size_t kMostLines = 1000;
constexpr std::size_t kLongestSearch = 256;
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};
// Beyond lie the ends of what a TimePoint can hold.
constexpr std::int64_t kLastMillisecond =
    std::chrono::floor<std::chrono::milliseconds>(base::TimePoint::max())
        .time_since_epoch()
        .count();

Result<std::int64_t> whole_number(std::string_view name, std::string_view text) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad_parameter(name, "value must be an integer");
  }
  if (value < 0) return bad_parameter(name, "number must be at least 0");
  return value;
}

Result<> read_common(LogQuery& found, std::string_view key, std::string_view value) {
  if (key == "limit") {
    SANDLOT_TRY(auto limit, whole_number(key, value));
    if (static_cast<std::size_t>(limit) > kMostLines) {
      return bad_parameter(key, "number must be at most 1000");
    }
    found.limit = static_cast<std::size_t>(limit);
  } else if (key == "start" || key == "cursor") {
    SANDLOT_TRY(auto ms, whole_number(key, value));
    found.from = base::TimePoint(std::chrono::milliseconds(std::min(ms, kLastMillisecond)));
  }
  return {};
}

}  // namespace

std::string_view to_string(LogLevel level) {
  return kLevels[static_cast<std::size_t>(level)];
}

Result<LogQuery> parse_log_query(std::string_view query) {
  LogQuery found;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (key == "start" || key == "limit") SANDLOT_CHECK(read_common(found, key, value));
  }
  return found;
}

Result<LogQuery> parse_log_query_v2(std::string_view query) {
  LogQuery found;
  found.backward = true;  // as e2b infra, sandbox_logs.go
  bool cursor = false;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (key == "cursor" || key == "limit") {
      SANDLOT_CHECK(read_common(found, key, value));
      cursor = cursor || key == "cursor";
    } else if (key == "direction") {
      if (value != "forward" && value != "backward") {
        return bad_parameter(key,
                             "value is not one of the allowed values [\"forward\",\"backward\"]");
      }
      found.backward = value == "backward";
    } else if (key == "level") {
      auto level = std::find(kLevels.begin(), kLevels.end(), value);
      if (level == kLevels.end()) {
        return bad_parameter(
            key, "value is not one of the allowed values [\"debug\",\"info\",\"warn\",\"error\"]");
      }
      found.level = static_cast<LogLevel>(level - kLevels.begin());
    } else if (key == "search") {
      if (value.size() > kLongestSearch) return bad_parameter(key, "maximum length is 256");
      found.search = value;
    }
  }
  if (found.backward && !cursor) found.from = base::TimePoint::max();
  return found;
}

std::vector<LogEntry> select(std::vector<LogEntry> entries, const LogQuery& query) {
  if (query.backward) std::reverse(entries.begin(), entries.end());
  std::erase_if(entries, [&](const LogEntry& entry) {
    auto time = std::chrono::floor<std::chrono::milliseconds>(entry.time);
    bool outside = query.backward ? time > query.from : time < query.from;
    return outside || entry.level < query.level ||
           entry.message.find(query.search) == std::string::npos;
  });
  if (entries.size() > query.limit) entries.resize(query.limit);
  return entries;
}

}  // namespace fakeapi::cloud
