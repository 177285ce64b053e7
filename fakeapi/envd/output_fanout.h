// One process's output, many subscribers: each has a bounded queue, a full one holds back the
// process, and without subscribers everything is thrown away (contract-envd 2.4). Single-threaded.
// Does not read or encode anything.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace fakeapi::envd {

enum class OutputKind { kStdout, kStderr, kPty };

struct OutputEvent {
  OutputKind kind = OutputKind::kStdout;
  std::shared_ptr<const std::string> bytes;
};

class OutputFanout;

// Registered from construction to destruction; the fanout must outlive it.
class Subscription {
 public:
  explicit Subscription(OutputFanout& fanout);
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  ~Subscription();

  bool empty() const { return queue_.empty(); }
  OutputEvent pop();
  // Returns when something was published or changed, or at `when`; may return early.
  boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point when);
  void wake() { wake_.cancel(); }

 private:
  friend class OutputFanout;
  bool full() const;

  OutputFanout& fanout_;
  std::deque<OutputEvent> queue_;
  std::size_t bytes_ = 0;
  boost::asio::steady_timer wake_;
};

class OutputFanout {
 public:
  explicit OutputFanout(boost::asio::any_io_executor executor);
  // Waits while any subscriber's queue is full.
  boost::asio::awaitable<void> publish(OutputEvent event);
  // Wakes every subscriber: the process's state has changed.
  void notify();
  bool has_subscribers() const { return !subscribers_.empty(); }

 private:
  friend class Subscription;
  bool any_full() const;

  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer room_;  // cancelled whenever a queue gets shorter
  std::vector<Subscription*> subscribers_;
};

}  // namespace fakeapi::envd
