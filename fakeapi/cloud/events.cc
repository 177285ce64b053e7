#include "fakeapi/cloud/events.h"

#include <algorithm>
#include <charconv>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;
using std::chrono::seconds;

namespace {

constexpr std::chrono::hours kDefaultRange{24 * 30};
constexpr std::chrono::hours kLongestRange{24 * 60};
constexpr std::int64_t kMostEvents = 100;

Result<std::int64_t> whole_number(std::string_view name,
                                  std::string_view text,
                                  std::int64_t least,
                                  std::int64_t most) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad_parameter(name, "value must be an integer");
  }
  if (value < least) return bad_parameter(name, "number must be at least " + std::to_string(least));
  if (value > most) return bad_parameter(name, "number must be at most " + std::to_string(most));
  return value;
}

// What is beyond is no TimePoint.
constexpr std::int64_t kLastSecond =
    std::chrono::floor<seconds>(base::TimePoint::max()).time_since_epoch().count();

Result<> read_times(EventQuery& found, std::string_view start, std::string_view end) {
  if (!end.empty()) {
    SANDLOT_TRY(auto value, whole_number("endTime", end, 0, kLastSecond));
    // The whole of that second.
    found.end = base::TimePoint(seconds(value)) + std::chrono::milliseconds(999);
  }
  found.start = found.end - kDefaultRange;
  if (start.empty()) return {};
  SANDLOT_TRY(auto value, whole_number("startTime", start, 0, kLastSecond));
  found.start = base::TimePoint(seconds(value));
  if (found.start >= found.end) {
    return base::fail(Errc::kInvalidArgument, "'endTime' must be after 'startTime'");
  }
  if (std::chrono::floor<seconds>(found.end) - found.start > kLongestRange) {
    return base::fail(Errc::kInvalidArgument, "the time range must not exceed 60 days");
  }
  return {};
}

std::vector<std::string> parts(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(name.size() + 1, list.size()));
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

}  // namespace

Result<EventQuery> parse_event_query(std::string_view query, base::TimePoint now) {
  EventQuery found;
  found.end = now;
  std::string start;
  std::string end;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (value.empty()) continue;
    if (key == "startTime") {
      start = value;
    } else if (key == "endTime") {
      end = value;
    } else if (key == "sandboxID") {
      found.sandbox_id = value;
    } else if (key == "templateID") {
      found.template_id = value;
    } else if (key == "events") {
      found.names = parts(value);
    } else if (key == "state") {
      found.state = value;
    } else if (key == "orderAsc") {
      if (value != "true" && value != "false") {
        return bad_parameter(key, "value must be a boolean");
      }
      found.oldest_first = value == "true";
    } else if (key == "offset") {
      SANDLOT_TRY(auto offset, whole_number(key, value, 0, 1'000'000'000));
      found.offset = static_cast<std::size_t>(offset);
    } else if (key == "limit") {
      SANDLOT_TRY(auto limit, whole_number(key, value, 1, kMostEvents));
      found.limit = static_cast<std::size_t>(limit);
    }
  }
  SANDLOT_CHECK(read_times(found, start, end));
  return found;
}

}  // namespace fakeapi::cloud
