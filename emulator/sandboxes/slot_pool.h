// Network slots, made ahead of need. A slot serves one sandbox; afterwards its namespace is dropped
// (nothing of a tenant survives: sockets, rules, sysctls, conntrack) and its index rests before a
// fresh namespace takes it over. Used by BlankPool. Lives on one executor; the kernel work runs on
// a BlockingPool.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <set>

#include "emulator/base/async.h"
#include "emulator/base/task_group.h"
#include "netfilter/network.h"

namespace emulator::sandboxes {

class SlotPool;

struct SlotPoolLimits {
  int last_index = 28671;        // ids stay below 2^31 (netfilter/network.h)
  std::chrono::seconds rest{3};  // of an index between two sandboxes, at least
};

// A slot on loan: gives its index back when dropped.
class SlotLease {
 public:
  SlotLease() = default;
  SlotLease(netfilter::Slot slot, std::weak_ptr<SlotPool> owner);
  SlotLease(SlotLease&& other) noexcept = default;
  SlotLease& operator=(SlotLease&& other) noexcept;
  ~SlotLease();

  const std::string& address() const { return slot_.address; }
  int index() const { return slot_.index; }
  std::uint32_t first_id() const { return slot_.first_id; }
  const std::shared_ptr<const base::UniqueFd>& netns() const { return netns_; }

 private:
  void give_back();
  netfilter::Slot slot_;
  std::shared_ptr<const base::UniqueFd> netns_;
  std::weak_ptr<SlotPool> owner_;
};

// While it lives nobody new gets the slot, nor its ids: there are files that belong to them.
class SlotHold {
 public:
  SlotHold() = default;
  SlotHold(int index, std::weak_ptr<SlotPool> owner);
  SlotHold(SlotHold&& other) noexcept;
  SlotHold& operator=(SlotHold&& other) noexcept;
  ~SlotHold();

 private:
  void give_back();
  int index_ = -1;
  std::weak_ptr<SlotPool> owner_;
};

class SlotPool : public std::enable_shared_from_this<SlotPool> {
 public:
  // Makes a slot with this index and this never-used serial; `used`: the index had a slot before.
  // Blocking.
  using MakeSlot =
      std::function<base::Result<netfilter::Slot>(int index, std::uint32_t serial, bool used)>;

  SlotPool(base::BlockingPool& blocking,
           MakeSlot make,
           std::size_t ready,
           SlotPoolLimits limits = SlotPoolLimits());

  // A ready slot, or a fresh one when none is. kResourceExhausted when all indexes are taken.
  base::Task<SlotLease> take();
  // Makes one more ready slot if there are fewer than wanted; false when there was nothing to do.
  base::Task<bool> refill_one();
  // Of a slot on loan, before it is given back, or of one that an earlier emulator used, before the
  // first take().
  SlotHold hold(int index);
  // Drops the ready slots; called at exit.
  void clear() { ready_.clear(); }
  // Namespaces that exist: ready ones and those on loan.
  std::size_t alive() const { return ready_.size() + on_loan_; }

 private:
  friend class SlotLease;
  friend class SlotHold;
  struct Index {
    int number;
    bool used;
  };
  base::Result<Index> take_index();
  void rest(int index);
  base::Task<netfilter::Slot> make();

  struct Resting {
    int index;
    std::chrono::steady_clock::time_point until;
  };
  base::BlockingPool& blocking_;
  MakeSlot make_;
  std::size_t wanted_;
  SlotPoolLimits limits_;
  std::deque<netfilter::Slot> ready_;
  std::deque<Resting> resting_;
  std::multiset<int> held_;
  std::size_t on_loan_ = 0;
  int next_index_ = 1;
  std::uint32_t next_serial_ = 1;
};

}  // namespace emulator::sandboxes
