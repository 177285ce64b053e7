// A sandbox that stands still gives its memory back to the machine, where the kernel can take it:
// version 2 `memory.reclaim`, version 1 `memory.force_empty`. What can be taken: page cache
// (written out first when it is dirty); anonymous memory and tmpfs only where there is swap. In the
// background, a moment after the pause; ends with the next thaw or kill. Used by the runtime.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "namespaces/cgroup_layout.h"

#include <pthread.h>

namespace namespaces {

// Ends reclaim_memory() from another thread.
class StopSign {
 public:
  StopSign() = default;
  StopSign(const StopSign&) = delete;
  StopSign& operator=(const StopSign&) = delete;

  // Whoever is in the kernel comes back early (SIGURG to that thread). It can come a moment too
  // early: then that one step goes on to its end.
  void set();
  bool is_set() const;

 private:
  friend class AtWork;
  mutable std::mutex mutex_;
  bool set_ = false;
  std::optional<pthread_t> thread_;  // that works until it is set
};

// Blocking, for as long as it takes to write dirty pages out: for a thread that may wait, and that
// nothing else interrupts. Silent when the kernel cannot, or has nothing to take.
//   relative  of the cgroup, in the hierarchy with the memory controller
//   source    Documentation/admin-guide/cgroup-v2.rst (memory.reclaim), cgroup-v1/memory.rst 5.1
void reclaim_memory(const CgroupLayout& layout,
                    const std::filesystem::path& relative,
                    StopSign& stop);

// The reclaims of one sandbox. On the loop.
class MemoryReclaim {
 public:
  // A pause that soon is over costs nothing, and the answer to it is out by then.
  static constexpr std::chrono::milliseconds kDelay{1000};

  explicit MemoryReclaim(boost::asio::any_io_executor executor) : delay_(std::move(executor)) {}

  // Until the memory is back or stop() was called. `layout` outlives it.
  static boost::asio::awaitable<void> run(std::shared_ptr<MemoryReclaim> self,
                                          base::BlockingPool& pool,
                                          const CgroupLayout& layout,
                                          std::filesystem::path relative);
  void stop();
  // The cgroup is in use by it: to remove it would wait for the kernel.
  bool in_kernel() const { return in_kernel_ > 0; }

 private:
  boost::asio::steady_timer delay_;
  std::shared_ptr<StopSign> stop_;  // of the last run()
  int in_kernel_ = 0;
};

}  // namespace namespaces
