// Blank sandboxes, made ahead of need: a running agent in its namespaces with nobody's name on it.
// Claiming one costs a message; an empty pool falls back to making one on the spot
// (architecture.md, decision 4). Refills in the background, one at a time and only while no create
// is waiting. Used by LocalSandboxService.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "emulator/base/task_group.h"
#include "emulator/sandboxes/slot_pool.h"
#include "emulator/sandboxes/template_store.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "namespaces/container_runtime.h"

namespace emulator::sandboxes {

// A sandbox that waits for its configuration. Members in order of making; destroyed in reverse.
struct Blank {
  std::string id;  // becomes the sandbox id
  SlotLease slot;
  std::unique_ptr<namespaces::Container> container;
};

// What an agent is told of itself: who it is and what it reports as its size; nobody's yet.
fakeapi::envd::SandboxConfiguration identity_of(const Template& item, const std::string& id);

// Lets a test make a step fail: returns an error when the named step should. Steps: slot,
// container, configure.
using FailStep = std::function<base::Result<>(std::string_view step)>;

class BlankPool {
 public:
  BlankPool(boost::asio::any_io_executor executor,
            namespaces::ContainerRuntime& runtime,
            std::shared_ptr<SlotPool> slots,
            std::size_t per_template,
            FailStep fail_step);

  // Keeps blanks of this template ready from now on.
  void keep_ready(const Template& item);
  // A blank of this template: from the pool, or made now.
  base::Task<Blank> take(const Template& item);
  // One that runs again: with the files that it left, which belong to the ids from `first_id` on.
  // They stay when this fails. Not configured yet.
  base::Task<Blank> revive(Template made_of, std::string id, std::uint32_t first_id);
  // Deletes the files of one that will not run again, in the background.
  void discard_files(const std::string& id) { runtime_.discard_files(id); }
  // The same, done when it returns.
  base::Task<> remove_files(std::string id) { return runtime_.remove_files(std::move(id)); }
  // Copies those of one that does not run.
  base::Task<namespaces::CaptureReport> capture_files(const std::string& id,
                                                      std::uint32_t first_id,
                                                      std::filesystem::path directory) {
    namespaces::IdRange ids;
    ids.first = first_id;
    return runtime_.capture_files(id, ids, std::move(directory));
  }
  SlotHold hold_slot(int index) { return slots_->hold(index); }
  std::size_t ready() const;
  // Completes when the pool is full or a refill failed; for start-up and tests.
  boost::asio::awaitable<void> filled();
  // Stops refilling, ends the blanks.
  boost::asio::awaitable<void> stop();

 private:
  struct Shelf {
    const Template* item = nullptr;
    std::deque<Blank> blanks;
  };
  base::Task<Blank> make(const Template& item);
  base::Task<Blank> make_container(const Template& item, namespaces::ContainerSpec spec);
  // Ahead of need: its agent knows its name already.
  base::Task<Blank> make_named(const Template& item);
  boost::asio::awaitable<void> refill();
  Shelf* neediest();
  void wake_refill();
  bool busy() const;

  namespaces::ContainerRuntime& runtime_;
  std::shared_ptr<SlotPool> slots_;
  std::size_t per_template_;
  FailStep fail_step_;
  std::map<std::string, Shelf> shelves_;
  base::TaskGroup tasks_;
  bool refilling_ = false;
  bool stopping_ = false;
  int creating_ = 0;  // creates that found the shelf empty: they go first
  std::chrono::steady_clock::time_point taken_at_;
};

}  // namespace emulator::sandboxes
