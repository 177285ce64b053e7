// A time limit that a frozen sandbox does not use up: a paused machine's clock stands still, ours
// goes on (contract-envd 5.10). For the limits that callers set (Connect-Timeout-Ms) on processes
// and streams, and for idle connections. Not for what needs to be exact: see `step`.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

namespace fakeapi::envd {

class RunningTimer {
 public:
  using Duration = std::chrono::steady_clock::duration;

  explicit RunningTimer(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  RunningTimer(const RunningTimer&) = delete;
  RunningTimer& operator=(const RunningTimer&) = delete;
  ~RunningTimer() { cancel(); }

  // Calls `on_expiry` once, when this much running time has passed. Replaces an earlier limit. A
  // freeze takes up at most one `step` of it; each step is a wake-up.
  void start(Duration limit,
             std::function<void()> on_expiry,
             Duration step = std::chrono::seconds(1));
  void cancel();
  // The limit was reached (before or after a cancel()).
  bool expired() const;

 private:
  struct State;
  static void arm(const std::shared_ptr<State>& state);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<State> state_;
};

}  // namespace fakeapi::envd
