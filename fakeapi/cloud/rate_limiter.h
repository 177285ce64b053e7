// How often something may be done: at most `count` times in any stretch of `per`. Used for creates.
// Asks nobody for the time; not thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "emulator/base/clock.h"

namespace fakeapi::cloud {

class RateLimiter {
 public:
  RateLimiter(std::size_t count, std::chrono::seconds per) : count_(count), per_(per) {}
  // Counts one more at `now`; or, when that would be too many, counts nothing and says after how
  // many seconds (at least 1) it would not be.
  std::optional<std::chrono::seconds> take(base::TimePoint now);

 private:
  std::size_t count_;
  std::chrono::seconds per_;
  std::deque<base::TimePoint> taken_;  // the last `count`, oldest first
};

}  // namespace fakeapi::cloud
