// A set of running coroutines that can be cancelled and joined. Every spawn in the project goes
// through one; nothing is detached. Lives on one executor; must be joined (or empty) before
// destruction.
#pragma once

#include <cstddef>
#include <list>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

namespace base {

class TaskGroup {
 public:
  explicit TaskGroup(boost::asio::any_io_executor executor);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Starts the coroutine. `name` appears in the log when it ends with an exception (a bug).
  void spawn(std::string name, boost::asio::awaitable<void> task);
  // Asks every task to stop (terminal cancellation); tasks spawned later are not affected.
  void cancel();
  // Completes when no task is left.
  boost::asio::awaitable<void> join();
  std::size_t size() const { return tasks_.size(); }

 private:
  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer idle_;  // cancelled whenever the group becomes empty
  std::list<boost::asio::cancellation_signal> tasks_;
};

}  // namespace base
