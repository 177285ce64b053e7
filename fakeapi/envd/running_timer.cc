#include "fakeapi/envd/running_timer.h"

#include <algorithm>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace fakeapi::envd {

namespace {

// A wake-up that comes this much too late tells that nothing ran meanwhile.
constexpr RunningTimer::Duration kLate = std::chrono::seconds(1);

}  // namespace

// Shared with the wait in flight, which may outlive the timer.
struct RunningTimer::State {
  explicit State(const boost::asio::any_io_executor& executor) : timer(executor) {}
  boost::asio::steady_timer timer;
  Duration left{};
  Duration step{};
  std::function<void()> on_expiry;
  bool cancelled = false;
  bool expired = false;
};

void RunningTimer::start(Duration limit, std::function<void()> on_expiry, Duration step) {
  cancel();
  state_ = std::make_shared<State>(executor_);
  state_->left = limit;
  state_->step = step;
  state_->on_expiry = std::move(on_expiry);
  arm(state_);
}

void RunningTimer::cancel() {
  if (!state_) return;
  state_->cancelled = true;
  state_->on_expiry = nullptr;
  state_->timer.cancel();
}

bool RunningTimer::expired() const {
  return state_ && state_->expired;
}

void RunningTimer::arm(const std::shared_ptr<State>& state) {
  auto started = std::chrono::steady_clock::now();
  auto length = std::min(state->left, state->step);
  state->timer.expires_at(started + length);
  auto fired = [state, started, length](const boost::system::error_code& error) {
    if (error || state->cancelled) return;
    auto passed = std::chrono::steady_clock::now() - started;
    state->left -= passed > length + kLate ? length : passed;
    if (state->left > Duration::zero()) {
      arm(state);
      return;
    }
    state->expired = true;
    if (auto call = std::exchange(state->on_expiry, nullptr)) call();
  };
  state->timer.async_wait(std::move(fired));
}

}  // namespace fakeapi::envd
