// The queries of the metrics routes as values. Pure. Used by the metrics handler alone.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

// Both ends inclusive, to the second.
struct MetricsRange {
  base::TimePoint start = base::TimePoint::min();
  base::TimePoint end = base::TimePoint::max();
};

// `start` and `end`, unix seconds, both optional. kInvalidArgument when one is no whole number, or
// the end is before the start.
base::Result<MetricsRange> parse_metrics_range(std::string_view query);
// The values of `sandbox_ids`, at most 100, separated by commas or repeated. kInvalidArgument when
// there is none, or too many.
base::Result<std::vector<std::string>> parse_sandbox_ids(std::string_view query);

std::vector<MetricSample> within(std::span<const MetricSample> samples, const MetricsRange& range);

}  // namespace fakeapi::cloud
