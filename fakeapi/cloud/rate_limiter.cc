#include "fakeapi/cloud/rate_limiter.h"

#include <algorithm>

namespace fakeapi::cloud {

using std::chrono::seconds;

std::optional<seconds> RateLimiter::take(base::TimePoint now) {
  // A clock that was set back forgets.
  if (!taken_.empty() && taken_.back() > now) taken_.clear();
  if (taken_.size() == count_ && now - taken_.front() < per_) {
    return std::max(seconds(1), std::chrono::ceil<seconds>(per_ - (now - taken_.front())));
  }
  if (taken_.size() == count_) taken_.pop_front();
  taken_.push_back(now);
  return std::nullopt;
}

}  // namespace fakeapi::cloud
