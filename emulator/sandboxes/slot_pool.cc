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
    if (owner->held_.contains(slot_.index)) return;  // rests when the hold ends
    owner->resting_.push_back({slot_.index, std::chrono::steady_clock::now() + SlotPool::kRest});
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
  // Two emulators that shared a data directory may have left two sandboxes of one slot.
  if (owner->held_.contains(index_) || index_ >= owner->next_index_) return;
  owner->resting_.push_back({index_, std::chrono::steady_clock::now() + SlotPool::kRest});
}

SlotHold SlotPool::hold(int index) {
  held_.insert(index);
  return SlotHold(index, weak_from_this());
}

SlotPool::SlotPool(base::BlockingPool& blocking, MakeSlot make, std::size_t ready)
    : blocking_(blocking), make_(std::move(make)), wanted_(ready) {}

base::Result<int> SlotPool::take_index() {
  // Rested first: numbers stay small. A late packet must not reach a stranger, hence the rest.
  if (!resting_.empty() && resting_.front().until <= std::chrono::steady_clock::now()) {
    int index = resting_.front().index;
    resting_.pop_front();
    return index;
  }
  while (held_.contains(next_index_)) ++next_index_;
  if (next_index_ > kLastIndex)
    return base::fail(Errc::kResourceExhausted, "no network slot is free");
  return next_index_++;
}

base::Task<netfilter::Slot> SlotPool::make() {
  SANDLOT_CO_TRY(int index, take_index());
  auto work = [make = make_, index, serial = next_serial_++] { return make(index, serial); };
  auto slot = co_await base::offload(blocking_, std::move(work));
  if (!slot) {
    resting_.push_back({index, std::chrono::steady_clock::now() + kRest});
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
