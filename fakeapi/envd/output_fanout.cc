#include "fakeapi/envd/output_fanout.h"

#include <algorithm>

#include "emulator/base/async.h"

namespace fakeapi::envd {

namespace {

constexpr std::size_t kQueueEvents = 64;
constexpr std::size_t kQueueBytes = 1U << 20U;

}  // namespace

Subscription::Subscription(OutputFanout& fanout) : fanout_(fanout), wake_(fanout.executor_) {
  fanout_.subscribers_.push_back(this);
}

Subscription::~Subscription() {
  std::erase(fanout_.subscribers_, this);
  fanout_.room_.cancel();
}

bool Subscription::full() const {
  return queue_.size() >= kQueueEvents || bytes_ >= kQueueBytes;
}

OutputEvent Subscription::pop() {
  OutputEvent event = std::move(queue_.front());
  queue_.pop_front();
  bool was_full = full();
  bytes_ -= event.bytes->size();
  if (was_full || queue_.size() + 1 == kQueueEvents) fanout_.room_.cancel();
  return event;
}

boost::asio::awaitable<void> Subscription::wait_until(std::chrono::steady_clock::time_point when) {
  wake_.expires_at(when);
  co_await wake_.async_wait(base::kUse);
}

OutputFanout::OutputFanout(boost::asio::any_io_executor executor)
    : executor_(std::move(executor)),
      room_(executor_, boost::asio::steady_timer::time_point::max()) {}

bool OutputFanout::any_full() const {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [](const Subscription* subscriber) { return subscriber->full(); });
}

boost::asio::awaitable<void> OutputFanout::publish(OutputEvent event) {
  while (any_full()) co_await room_.async_wait(base::kUse);
  for (Subscription* subscriber : subscribers_) {
    subscriber->bytes_ += event.bytes->size();
    subscriber->queue_.push_back(event);
    subscriber->wake_.cancel();
  }
}

void OutputFanout::notify() {
  for (Subscription* subscriber : subscribers_) subscriber->wake_.cancel();
}

}  // namespace fakeapi::envd
