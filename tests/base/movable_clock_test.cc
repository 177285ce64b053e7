// A clock that can be moved: what waits for a moment wakes when it comes, and only then.
#include "emulator/base/movable_clock.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace base {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class MovableClockTest : public testing::Test {
 protected:
  // Whether something that waits for `when` has woken.
  std::shared_ptr<bool> wait_until(TimePoint when) {
    auto woken = std::make_shared<bool>(false);
    asio::co_spawn(context, clock.sleep_until(when),
                   [woken](const std::exception_ptr&) { *woken = true; });
    return woken;
  }
  void spin() {
    context.restart();
    context.run_for(5ms);
  }

  asio::io_context context;
  MovableClock clock{context.get_executor()};
};

TEST_F(MovableClockTest, WakesWhoWaitsForAMomentThatItIsMovedPast) {
  auto near = wait_until(clock.now() + 1h);
  auto far = wait_until(clock.now() + 3h);
  spin();
  clock.advance(2h);
  spin();
  EXPECT_TRUE(*near);
  EXPECT_FALSE(*far);
  EXPECT_EQ(clock.offset(), 2h);
  clock.advance(2h);
  spin();
  EXPECT_TRUE(*far);
}

TEST_F(MovableClockTest, RunsByItselfToo) {
  auto woken = wait_until(clock.now() + 2ms);
  spin();
  spin();
  EXPECT_TRUE(*woken);
}

TEST_F(MovableClockTest, StandsStillWhenFrozenAndGoesOnFromThere) {
  clock.freeze();
  TimePoint stopped = clock.now();
  auto woken = wait_until(stopped + 1ms);
  spin();
  EXPECT_FALSE(*woken);
  EXPECT_EQ(clock.now(), stopped);
  clock.advance(1ms);
  spin();
  EXPECT_TRUE(*woken);
  clock.thaw();
  EXPECT_GE(clock.now(), stopped);
  EXPECT_LT(clock.now(), stopped + 10s);
}

TEST_F(MovableClockTest, ResetGoesBackAndWakesNobodyEarly) {
  clock.advance(5h);
  auto woken = wait_until(clock.now() + 1h);
  clock.reset();
  spin();
  EXPECT_FALSE(*woken);
  EXPECT_EQ(clock.offset(), 0ms);
  EXPECT_FALSE(clock.frozen_at());
  clock.advance(7h);
  spin();
  EXPECT_TRUE(*woken);
}

TEST_F(MovableClockTest, ACancelledWaitEnds) {
  asio::cancellation_signal signal;
  bool ended = false;
  asio::co_spawn(context, clock.sleep_until(clock.now() + 1h),
                 asio::bind_cancellation_slot(signal.slot(),
                                              [&](const std::exception_ptr&) { ended = true; }));
  spin();
  signal.emit(asio::cancellation_type::all);
  spin();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace base
