#include "emulator/sandboxes/slot_pool.h"

namespace emulator::sandboxes {

using base::Errc;

SlotLease::SlotLease(netfilter::Slot slot, std::weak_ptr<SlotPool> owner)
    : slot_(std::move(slot)),
      netns_(std::make_shared<const base::UniqueFd>(std::move(slot_.netns))),
      owner_(std::move(owner)) {}

SlotLease& SlotLease::operator=(SlotLease&& other) noexcept {
  if (this != &other) {
    give_back();
    slot_ = std::move(other.slot_);
    netns_ = std::move(other.netns_);
    owner_ = std::move(other.owner_);
  }
  return *this;
}

SlotLease::~SlotLease() {
  give_back();
}

void SlotLease::give_back() {
  if (!netns_) return;
  netns_.reset();
  if (auto owner = owner_.lock()) {
    --owner->on_loan_;
    owner->rest(slot_.index);
  }
}

SlotHold::SlotHold(int index, std::weak_ptr<SlotPool> owner)
    : index_(index), owner_(std::move(owner)) {}

SlotHold::SlotHold(SlotHold&& other) noexcept
    : index_(std::exchange(other.index_, -1)), owner_(std::move(other.owner_)) {}

SlotHold& SlotHold::operator=(SlotHold&& other) noexcept {
  if (this != &other) {
    give_back();
    index_ = std::exchange(other.index_, -1);
    owner_ = std::move(other.owner_);
  }
  return *this;
}

SlotHold::~SlotHold() {
  give_back();
}

void SlotHold::give_back() {
  auto owner = owner_.lock();
  if (!owner || index_ < 0) return;
  owner->held_.erase(owner->held_.find(index_));
  if (index_ < owner->next_index_) owner->rest(index_);
}

SlotHold SlotPool::hold(int index) {
  held_.insert(index);
  return SlotHold(index, weak_from_this());
}

SlotPool::SlotPool(base::BlockingPool& blocking,
                   MakeSlot make,
                   std::size_t ready,
                   SlotPoolLimits limits)
    : blocking_(blocking), make_(std::move(make)), wanted_(ready), limits_(limits) {}

// A late packet must not reach a stranger: an address that nobody had first, then the one that has
// rested longest.
base::Result<SlotPool::Index> SlotPool::take_index() {
  while (held_.contains(next_index_)) ++next_index_;
  if (next_index_ <= limits_.last_index) return Index{next_index_++, false};
  if (resting_.empty() || resting_.front().until > std::chrono::steady_clock::now())
    return base::fail(Errc::kResourceExhausted, "no network slot is free");
  int index = resting_.front().index;
  resting_.pop_front();
  return Index{index, true};
}

// One that is held rests when the hold ends. (Two emulators that shared a data directory may have
// left two sandboxes of one slot: the last hold counts.)
void SlotPool::rest(int index) {
  if (held_.contains(index)) return;
  resting_.push_back({index, std::chrono::steady_clock::now() + limits_.rest});
}

base::Task<netfilter::Slot> SlotPool::make() {
  SANDLOT_CO_TRY(Index index, take_index());
  auto work = [make = make_, index, serial = next_serial_++] {
    return make(index.number, serial, index.used);
  };
  auto slot = co_await base::offload(blocking_, std::move(work));
  if (!slot) {
    rest(index.number);
    co_return base::fail(std::move(slot).error().context("network slot"));
  }
  co_return slot;
}

base::Task<SlotLease> SlotPool::take() {
  auto self = shared_from_this();
  if (!ready_.empty()) {
    netfilter::Slot slot = std::move(ready_.front());
    ready_.pop_front();
    ++on_loan_;
    co_return SlotLease(std::move(slot), weak_from_this());
  }
  SANDLOT_CO_TRY(netfilter::Slot slot, co_await make());
  ++on_loan_;
  co_return SlotLease(std::move(slot), weak_from_this());
}

base::Task<bool> SlotPool::refill_one() {
  auto self = shared_from_this();
  if (ready_.size() >= wanted_) co_return false;
  SANDLOT_CO_TRY(netfilter::Slot slot, co_await make());
  ready_.push_back(std::move(slot));
  co_return true;
}

}  // namespace emulator::sandboxes
