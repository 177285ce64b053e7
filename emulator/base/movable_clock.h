// The machine's clock, with a hand on it: time can be moved on and stopped, and everything that
// waits for a moment wakes as if it had come. Used by the emulator for every deadline of a sandbox;
// driven by the control API (POST /_sandlot/clock) and by tests. Not thread-safe. It never runs
// backwards but by reset().
#pragma once

#include <chrono>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/clock.h"

namespace base {

class MovableClock final : public Clock {
 public:
  explicit MovableClock(boost::asio::any_io_executor executor);

  TimePoint now() const override;
  boost::asio::awaitable<void> sleep_until(TimePoint when) override;

  // How far ahead of the machine's clock it is, and where it stands still, if it does.
  std::chrono::milliseconds offset() const { return offset_; }
  std::optional<TimePoint> frozen_at() const { return frozen_at_; }

  // `by` is not negative. A clock that stands still is moved on and stays where it arrives.
  void advance(std::chrono::milliseconds by);
  // Stops time, or lets it run on from where it stopped.
  void freeze();
  void thaw();
  // The machine's time again.
  void reset();

 private:
  void wake_all() { changed_.cancel(); }

  std::chrono::milliseconds offset_{};
  std::optional<TimePoint> frozen_at_;
  boost::asio::steady_timer changed_;
};

}  // namespace base
