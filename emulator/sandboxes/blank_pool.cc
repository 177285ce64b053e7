#include "emulator/sandboxes/blank_pool.h"

#include <chrono>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/sandboxes/agent_channel.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;

namespace {

// A refill costs the kernel 2 ms on a core. Whoever has just created a sandbox is about to use it,
// and has two cores for everything: the refill waits until nobody has asked for so long.
constexpr auto kSettled = std::chrono::milliseconds(5);

}  // namespace

fakeapi::envd::SandboxConfiguration identity_of(const Template& item, const std::string& id) {
  fakeapi::envd::SandboxConfiguration configuration;
  configuration.sandbox_id = id;
  configuration.template_id = item.id;
  configuration.build_id = item.build_id;
  configuration.cpu_count = item.limits.cpu_count;
  configuration.memory_bytes = std::int64_t{item.limits.memory_mb} << 20;
  configuration.disk_bytes = std::int64_t{item.disk_size_mb} << 20;
  configuration.httpbin = item.httpbin;
  return configuration;
}

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
  namespaces::ContainerSpec spec;
  spec.id = base::make_sandbox_id();
  co_return co_await make_container(item, std::move(spec));
}

base::Task<Blank> BlankPool::revive(Template made_of, std::string id, std::uint32_t first_id) {
  namespaces::ContainerSpec spec;
  spec.id = std::move(id);
  spec.ids.first = first_id;
  spec.existing_files = true;
  ++creating_;
  auto blank = co_await make_container(made_of, std::move(spec));
  --creating_;
  co_return blank;
}

base::Task<Blank> BlankPool::make_container(const Template& item, namespaces::ContainerSpec spec) {
  SANDLOT_CO_CHECK(check_layers(item));
  SANDLOT_CO_CHECK(fail_step_("slot"));
  Blank blank;
  blank.id = spec.id;
  SANDLOT_CO_TRY(blank.slot, co_await slots_->take());
  SANDLOT_CO_CHECK(fail_step_("container"));
  if (!spec.existing_files) spec.ids.first = blank.slot.first_id();
  spec.netns_fd = blank.slot.netns()->get();
  spec.rootfs = item.rootfs;
  spec.limits = item.limits;
  spec.hostname = "e2b.local";
  SANDLOT_CO_TRY(blank.container, co_await runtime_.create(std::move(spec)));
  co_return blank;
}

base::Task<Blank> BlankPool::make_named(const Template& item) {
  SANDLOT_CO_TRY(Blank blank, co_await make(item));
  fakeapi::envd::SandboxConfiguration identity = identity_of(item, blank.id);
  identity.serve = false;
  SANDLOT_CO_CHECK(co_await configure_agent(blank.container->control_fd(), std::move(identity)));
  co_return blank;
}

void BlankPool::keep_ready(const Template& item) {
  if (per_template_ > 0) shelves_[item.id].item = &item;
  wake_refill();  // slots, at least
}

base::Task<Blank> BlankPool::take(const Template& item) {
  auto shelf = shelves_.find(item.id);
  if (shelf != shelves_.end() && !shelf->second.blanks.empty()) {
    Blank blank = std::move(shelf->second.blanks.front());
    shelf->second.blanks.pop_front();
    taken_at_ = std::chrono::steady_clock::now();
    wake_refill();
    co_return blank;
  }
  if (!item.snapshot_layers.empty()) co_return co_await make(item);
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

bool BlankPool::busy() const {
  return creating_ > 0 || std::chrono::steady_clock::now() - taken_at_ < kSettled;
}

asio::awaitable<void> BlankPool::refill() {
  // A burst of creates is served before the shelves: they share the spawner and two cores.
  while (!stopping_) {
    if (busy()) {
      co_await base::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    Shelf* shelf = neediest();
    if (shelf == nullptr) {
      auto more = co_await slots_->refill_one();
      if (more && *more) continue;
      break;
    }
    auto blank = co_await make_named(*shelf->item);
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
