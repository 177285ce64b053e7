#include "fakeapi/cloud/metrics_query.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

using base::Errc;
using std::chrono::seconds;

namespace {

constexpr std::size_t kMaxIds = 100;
// What is beyond is no TimePoint.
constexpr std::int64_t kLastSecond =
    std::chrono::floor<seconds>(base::TimePoint::max()).time_since_epoch().count();

base::Result<base::TimePoint> unix_seconds(std::string_view name, std::string_view text) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad_parameter(name, "value must be an integer");
  }
  if (value < 0) return bad_parameter(name, "number must be at least 0");
  return base::TimePoint(seconds(std::min(value, kLastSecond)));
}

}  // namespace

base::Result<MetricsRange> parse_metrics_range(std::string_view query) {
  MetricsRange range;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (key == "start") {
      SANDLOT_TRY(range.start, unix_seconds(key, value));
    } else if (key == "end") {
      SANDLOT_TRY(range.end, unix_seconds(key, value));
    }
  }
  if (range.end < range.start) {
    return base::fail(Errc::kInvalidArgument, "'end' is before 'start'");
  }
  return range;
}

base::Result<std::vector<std::string>> parse_sandbox_ids(std::string_view query) {
  std::vector<std::string> ids;
  for (const auto& [key, value] : http::parse_query(query)) {
    if (key != "sandbox_ids") continue;
    for (std::size_t at = 0; at <= value.size();) {
      std::size_t end = std::min(value.find(',', at), value.size());
      if (end > at) ids.push_back(value.substr(at, end - at));
      at = end + 1;
    }
  }
  if (ids.empty()) return bad_parameter("sandbox_ids", "value is required but missing");
  if (ids.size() > kMaxIds) return bad_parameter("sandbox_ids", "maximum number of items is 100");
  return ids;
}

std::vector<MetricSample> within(std::span<const MetricSample> samples, const MetricsRange& range) {
  std::vector<MetricSample> found;
  std::copy_if(samples.begin(), samples.end(), std::back_inserter(found),
               [&](const MetricSample& sample) {
                 auto second = std::chrono::floor<seconds>(sample.time);
                 return second >= range.start && second <= range.end;
               });
  return found;
}

}  // namespace fakeapi::cloud
