// One after the other: whoever holds a Turn may change things, the next one waits for its end. For
// coroutines of one executor. take() never fails.
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"

namespace base {

class Turns;

class Turn {
 public:
  explicit Turn(Turns& turns) : turns_(&turns) {}
  Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn();

 private:
  Turns* turns_;
};

class Turns {
 public:
  explicit Turns(boost::asio::any_io_executor executor)
      : ended_(std::move(executor), boost::asio::steady_timer::time_point::max()) {}

  Task<Turn> take() {
    while (taken_) co_await ended_.async_wait(kUse);
    taken_ = true;
    co_return Turn(*this);
  }

 private:
  friend class Turn;
  bool taken_ = false;
  boost::asio::steady_timer ended_;  // cancelled whenever a turn ends
};

inline Turn::~Turn() {
  if (turns_ == nullptr) return;
  turns_->taken_ = false;
  turns_->ended_.cancel();
}

}  // namespace base
