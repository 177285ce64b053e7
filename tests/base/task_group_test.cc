#include "emulator/base/task_group.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"

namespace base {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> rest(int& ended) {
  co_await sleep_for(std::chrono::hours(1));
  ++ended;
}

asio::awaitable<void> rest_in_two(int& ended) {
  co_await rest(ended);
}

asio::awaitable<void> join_and_say(TaskGroup& group, bool& joined) {
  co_await group.join();
  joined = true;
}

TEST(TaskGroup, CancelEndsRunningTasksAndJoinWaitsForThem) {
  asio::io_context context;
  TaskGroup group(context.get_executor());
  TaskGroup waiters(context.get_executor());
  int ended = 0;
  bool joined = false;
  for (int i = 0; i < 3; ++i) group.spawn("rest", rest(ended));
  waiters.spawn("join", join_and_say(group, joined));
  context.poll();
  EXPECT_EQ(group.size(), 3U);
  EXPECT_FALSE(joined);
  group.cancel();
  context.restart();
  context.run();
  EXPECT_TRUE(joined);
  EXPECT_EQ(group.size(), 0U);
}

TEST(TaskGroup, CancelEndsTasksThatHaveNotBegun) {
  asio::io_context context;
  TaskGroup group(context.get_executor());
  int ended = 0;
  group.spawn("rest", rest_in_two(ended));
  group.cancel();
  context.run();
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace base
