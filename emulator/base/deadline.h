// with_deadline: races a task against a timer and cancels the loser. In its own header because
// awaitable_operators is slow to compile; include it where an await on a peer happens.
#pragma once

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"

namespace base {

// The task's result, or kDeadlineExceeded "<what>: timed out".
template <class T>
Task<T> with_deadline(Task<T> task, std::chrono::steady_clock::duration limit, std::string what) {
  using boost::asio::experimental::awaitable_operators::operator||;
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  auto raced = co_await (std::move(task) || timer.async_wait(kUse));
  if (raced.index() == 0) co_return std::move(std::get<0>(raced));
  co_return fail(Errc::kDeadlineExceeded, what + ": timed out");
}

}  // namespace base
