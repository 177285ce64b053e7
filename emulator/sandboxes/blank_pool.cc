#include "emulator/sandboxes/blank_pool.h"

#include <chrono>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;

BlankPool::BlankPool(asio::any_io_executor executor,
                     namespaces::ContainerRuntime& runtime,
                     std::shared_ptr<SlotPool> slots,
                     std::size_t per_template,
                     FailStep fail_step)
    : runtime_(runtime),
      slots_(std::move(slots)),
      per_template_(per_template),
      fail_step_(std::move(fail_step)),
      tasks_(std::move(executor)) {}

base::Task<Blank> BlankPool::make(const Template& item) {
  SANDLOT_CO_CHECK(check_layers(item));
  SANDLOT_CO_CHECK(fail_step_("slot"));
  Blank blank;
  blank.id = base::make_sandbox_id();
  SANDLOT_CO_TRY(blank.slot, co_await slots_->take());
  SANDLOT_CO_CHECK(fail_step_("container"));
  namespaces::ContainerSpec spec;
  spec.id = blank.id;
  spec.ids.first = blank.slot.first_id();
  spec.netns_fd = blank.slot.netns()->get();
  spec.rootfs = item.rootfs;
  spec.limits = item.limits;
  spec.hostname = "e2b.local";
  SANDLOT_CO_TRY(blank.container, co_await runtime_.create(std::move(spec)));
  co_return blank;
}

void BlankPool::keep_ready(const Template& item) {
  if (per_template_ == 0) return;
  shelves_[item.id].item = &item;
  wake_refill();
}

base::Task<Blank> BlankPool::take(const Template& item) {
  auto shelf = shelves_.find(item.id);
  if (shelf != shelves_.end() && !shelf->second.blanks.empty()) {
    Blank blank = std::move(shelf->second.blanks.front());
    shelf->second.blanks.pop_front();
    wake_refill();
    co_return blank;
  }
  ++creating_;
  auto blank = co_await make(item);
  --creating_;
  keep_ready(item);
  co_return blank;
}

BlankPool::Shelf* BlankPool::neediest() {
  Shelf* found = nullptr;
  for (auto& [id, shelf] : shelves_) {
    if (shelf.blanks.size() >= per_template_) continue;
    if (found == nullptr || shelf.blanks.size() < found->blanks.size()) found = &shelf;
  }
  return found;
}

void BlankPool::wake_refill() {
  if (refilling_ || stopping_) return;
  refilling_ = true;
  tasks_.spawn("blank pool", refill());
}

asio::awaitable<void> BlankPool::refill() {
  // A burst of creates is served before the shelves: they share the spawner and two cores.
  while (!stopping_) {
    if (creating_ > 0) {
      co_await base::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    Shelf* shelf = neediest();
    if (shelf == nullptr) {
      auto more = co_await slots_->refill_one();
      if (more && *more) continue;
      break;
    }
    auto blank = co_await make(*shelf->item);
    if (!blank) {
      base::log::warn("pool.refill_failed", {{"error", blank.error().message()}});
      break;
    }
    if (!stopping_) shelf->blanks.push_back(std::move(*blank));
  }
  refilling_ = false;
}

std::size_t BlankPool::ready() const {
  std::size_t count = 0;
  for (const auto& [id, shelf] : shelves_) count += shelf.blanks.size();
  return count;
}

asio::awaitable<void> BlankPool::filled() {
  while (refilling_) co_await base::sleep_for(std::chrono::milliseconds(1));
}

asio::awaitable<void> BlankPool::stop() {
  stopping_ = true;
  co_await tasks_.join();
  shelves_.clear();
  slots_->clear();
}

}  // namespace emulator::sandboxes
