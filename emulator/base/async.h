// Awaiting: the I/O token, deadlines, blocking work off the loop. One io_context runs on one
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "emulator/base/result.h"

namespace base {

// Completion token for every Asio operation: errors are values.
//   auto [error, count] = co_await socket.async_read_some(buffer, kUse);
inline constexpr auto kUse = boost::asio::as_tuple(boost::asio::use_awaitable);

// A small pool for blocking work (mounts, netlink, files). Joined before the io_context dies.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads = 2) : pool_(threads) {}
  ~BlockingPool() { pool_.join(); }
  boost::asio::thread_pool& context() { return pool_; }

 private:
  boost::asio::thread_pool pool_;
};

// Runs `work` on the pool and resumes here with what it returned. Not cancellable: the await lasts
// until the work has ended. `work` must not throw. Name the lambda before the co_await (toolchain
// trap, result.h):
//   auto work = [path] { return read_file(path); };
//   auto text = co_await offload(pool, std::move(work));
template <class F, class R = std::invoke_result_t<F>>
boost::asio::awaitable<R> offload(BlockingPool& pool, F work) {
  auto initiate = [&pool](auto handler, F inner) {
    auto executor = boost::asio::get_associated_executor(handler);
    auto guard = boost::asio::make_work_guard(executor);
    boost::asio::post(pool.context(), [handler = std::move(handler), inner = std::move(inner),
                                       executor, guard = std::move(guard)]() mutable {
      R result = inner();
      boost::asio::post(executor,
                        [handler = std::move(handler), result = std::move(result)]() mutable {
                          std::move(handler)(std::move(result));
                        });
    });
  };
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void(R)>(
      std::move(initiate), boost::asio::use_awaitable, std::move(work));
}

// Sleeps on the steady clock; for back-off and pacing, not for anything the Clock should move.
boost::asio::awaitable<void> sleep_for(std::chrono::steady_clock::duration duration);

}  // namespace base
