// So many lines in so long: for events that a sandbox can cause as often as it likes. Not for
// threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace base {

class LogBudget {
 public:
  using Clock = std::chrono::steady_clock;
  explicit LogBudget(unsigned lines = 10, Clock::duration per = std::chrono::seconds(10))
      : lines_(lines), per_(per) {}
  // Whether to write this one: the text says how many were not written since the last one.
  std::optional<std::string> take(Clock::time_point now = Clock::now()) {
    if (now - start_ >= per_) {
      start_ = now;
      used_ = 0;
    }
    if (used_ >= lines_) {
      ++skipped_;
      return std::nullopt;
    }
    ++used_;
    std::string text = std::to_string(skipped_);
    skipped_ = 0;
    return text;
  }

 private:
  unsigned lines_;
  Clock::duration per_;
  Clock::time_point start_{};
  unsigned used_ = 0;
  std::uint64_t skipped_ = 0;
};

}  // namespace base
