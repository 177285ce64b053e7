// Where time comes from. Everything that expires asks a Clock, so that tests (and later the control
// API) can move it.
#pragma once

#include <chrono>

#include <boost/asio/awaitable.hpp>

namespace base {

using TimePoint = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  // Completes at or after `when`; returns early only when the awaiting coroutine is cancelled.
  virtual boost::asio::awaitable<void> sleep_until(TimePoint when) = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  boost::asio::awaitable<void> sleep_until(TimePoint when) override;
};

// RFC 3339 in UTC with milliseconds and "Z", as the cloud writes times.
std::string format_rfc3339(TimePoint time);

}  // namespace base
