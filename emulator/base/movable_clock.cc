#include "emulator/base/movable_clock.h"

#include <algorithm>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"

namespace base {

namespace asio = boost::asio;
using std::chrono::system_clock;

namespace {

// The machine's clock may be set while we wait for it: look again now and then.
constexpr auto kLongestNap = std::chrono::seconds(60);

}  // namespace

MovableClock::MovableClock(asio::any_io_executor executor)
    : changed_(std::move(executor), asio::steady_timer::time_point::max()) {}

TimePoint MovableClock::now() const {
  return frozen_at_ ? *frozen_at_ : system_clock::now() + offset_;
}

asio::awaitable<void> MovableClock::sleep_until(TimePoint when) {
  using asio::experimental::awaitable_operators::operator||;
  co_await asio::this_coro::throw_if_cancelled(false);
  auto state = co_await asio::this_coro::cancellation_state;
  while (now() < when && state.cancelled() == asio::cancellation_type::none) {
    auto nap = std::min<system_clock::duration>(when - now(), kLongestNap);
    asio::steady_timer timer(changed_.get_executor());
    timer.expires_after(frozen_at_ ? kLongestNap : nap);
    co_await (timer.async_wait(kUse) || changed_.async_wait(kUse));
  }
}

void MovableClock::advance(std::chrono::milliseconds by) {
  if (frozen_at_) *frozen_at_ += by;
  offset_ += by;
  wake_all();
}

void MovableClock::freeze() {
  if (!frozen_at_) frozen_at_ = now();
}

void MovableClock::thaw() {
  if (!frozen_at_) return;
  offset_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(*frozen_at_ - system_clock::now());
  frozen_at_.reset();
  wake_all();
}

void MovableClock::reset() {
  offset_ = {};
  frozen_at_.reset();
  wake_all();
}

}  // namespace base
