#include "emulator/base/task_group.h"

#include <cassert>
#include <exception>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "emulator/base/async.h"
#include "emulator/base/log.h"

namespace base {

namespace asio = boost::asio;

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : executor_(std::move(executor)), idle_(executor_, asio::steady_timer::time_point::max()) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
  auto position = tasks_.emplace(tasks_.end());
  auto done = [this, position, name = std::move(name)](const std::exception_ptr& thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const boost::system::system_error& error) {
        // Cancelled before its next await: what cancel() asked for, not a bug.
        if (error.code() != asio::error::operation_aborted) {
          log::error("task.failed", {{"task", name}, {"error", error.what()}});
        }
      } catch (const std::exception& error) {
        log::error("task.failed", {{"task", name}, {"error", error.what()}});
      }
    }
    tasks_.erase(position);
    if (tasks_.empty()) idle_.cancel();
  };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(position->slot(), std::move(done)));
}

void TaskGroup::cancel() {
  // A handler may erase its own entry at once: step before emitting.
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    auto current = it++;
    current->emit(asio::cancellation_type::terminal);
  }
}

asio::awaitable<void> TaskGroup::join() {
  while (!tasks_.empty()) co_await idle_.async_wait(kUse);
}

}  // namespace base
