// Drives an io_context from a plain test body until one awaitable is done, and returns its value.
// Fails the process (not just the test) when that takes longer than the limit: a hang must name its
// test.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace tests {

template <class T>
T run_task(boost::asio::io_context& context,
           boost::asio::awaitable<T> task,
           std::chrono::steady_clock::duration limit = std::chrono::seconds(20)) {
  std::optional<T> value;
  std::exception_ptr failure;
  bool done = false;
  boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T result) {
    failure = error;
    value = std::move(result);
    done = true;
  });
  context.restart();
  auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done && std::chrono::steady_clock::now() < deadline) {
    if (context.run_one_until(deadline) == 0 && context.stopped()) break;
  }
  if (!done) {
    std::fputs("run_task: the task did not end\n", stderr);
    std::abort();
  }
  if (failure) std::rethrow_exception(failure);
  return std::move(*value);
}

inline void run_task(boost::asio::io_context& context,
                     boost::asio::awaitable<void> task,
                     std::chrono::steady_clock::duration limit = std::chrono::seconds(20)) {
  auto with_value = [](boost::asio::awaitable<void> inner) -> boost::asio::awaitable<bool> {
    co_await std::move(inner);
    co_return true;
  };
  run_task(context, with_value(std::move(task)), limit);
}

}  // namespace tests
