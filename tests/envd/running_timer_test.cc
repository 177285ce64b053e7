// RunningTimer: counts time in which this process runs.
#include "fakeapi/envd/running_timer.h"

#include <chrono>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace envd_tests {
namespace {

using fakeapi::envd::RunningTimer;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(RunningTimer, CallsOnceWhenTheTimeIsUp) {
  boost::asio::io_context context;
  RunningTimer timer(context.get_executor());
  int calls = 0;
  auto before = steady_clock::now();
  timer.start(
      milliseconds(50), [&calls] { ++calls; }, milliseconds(20));
  EXPECT_FALSE(timer.expired());
  context.run();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(timer.expired());
  EXPECT_GE(steady_clock::now() - before, milliseconds(50));
}

TEST(RunningTimer, ACancelledOneNeverCalls) {
  boost::asio::io_context context;
  int calls = 0;
  {
    RunningTimer timer(context.get_executor());
    timer.start(milliseconds(5), [&calls] { ++calls; });
    timer.cancel();
    RunningTimer gone(context.get_executor());
    gone.start(milliseconds(5), [&calls] { ++calls; });
  }
  context.run();
  EXPECT_EQ(calls, 0);
}

TEST(RunningTimer, ANewLimitReplacesTheOldOne) {
  boost::asio::io_context context;
  RunningTimer timer(context.get_executor());
  int old_calls = 0;
  int new_calls = 0;
  timer.start(milliseconds(5), [&old_calls] { ++old_calls; });
  timer.start(milliseconds(20), [&new_calls] { ++new_calls; });
  context.run();
  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 1);
}

TEST(RunningTimer, MayBeDestroyedByWhatItCalls) {
  boost::asio::io_context context;
  std::optional<RunningTimer> timer(context.get_executor());
  timer->start(milliseconds(5), [&timer] { timer.reset(); });
  context.run();
  EXPECT_FALSE(timer);
}

TEST(RunningTimer, ALimitOfNothingIsUpAtOnce) {
  boost::asio::io_context context;
  RunningTimer timer(context.get_executor());
  int calls = 0;
  timer.start(milliseconds(-5), [&calls] { ++calls; });
  context.run();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace envd_tests
