// A ContainerRuntime without Linux: containers are a socket pair whose far end answers "ok" to its
// configuration. Counts what is alive, so that a test can see what a failure leaves behind.
#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/base/posix.h"
#include "namespaces/container_runtime.h"

namespace tests {

struct FakeWorld {
  int alive = 0;  // containers that exist
  int created = 0;
  bool frozen = false;
  std::chrono::milliseconds freezing{};  // how long a freeze takes
  std::string answer = "ok";
  std::string last_configuration;
};

class FakeContainer final : public namespaces::Container {
 public:
  FakeContainer(boost::asio::any_io_executor executor, FakeWorld& world, std::string id)
      : world_(world),
        id_(std::move(id)),
        exit_(std::move(executor), boost::asio::steady_timer::time_point::max()) {
    auto pair = base::make_socketpair(SOCK_SEQPACKET);
    ours_ = std::move(pair->first);
    agent_ = std::move(pair->second);
    // The answer waits in the socket before the question: no second coroutine is needed.
    std::ignore = ::send(agent_.get(), world.answer.data(), world.answer.size(), 0);
    ++world_.alive;
    ++world_.created;
  }
  ~FakeContainer() override { --world_.alive; }
  const std::string& id() const override { return id_; }
  pid_t pid() const override { return 1; }
  int control_fd() const override { return ours_.get(); }
  base::Task<> freeze() override {
    if (world_.freezing.count() > 0) co_await base::sleep_for(world_.freezing);
    world_.frozen = true;
    co_return base::Result<>();
  }
  base::Task<> thaw() override {
    world_.frozen = false;
    co_return base::Result<>();
  }
  base::Task<> kill() override {
    die();
    co_return base::Result<>();
  }
  base::Task<> exited() override {
    co_await exit_.async_wait(base::kUse);
    if (!dead_) co_return base::fail(base::Errc::kCanceled, "cancelled");
    co_return base::Result<>();
  }
  base::Result<namespaces::Usage> usage() const override { return namespaces::Usage(); }
  void die() {
    dead_ = true;
    exit_.cancel();
  }

 private:
  FakeWorld& world_;
  std::string id_;
  base::UniqueFd ours_;
  base::UniqueFd agent_;
  boost::asio::steady_timer exit_;
  bool dead_ = false;
};

class FakeRuntime final : public namespaces::ContainerRuntime {
 public:
  FakeRuntime(boost::asio::any_io_executor executor, FakeWorld& world)
      : executor_(std::move(executor)), world_(world) {}
  base::Task<std::unique_ptr<namespaces::Container>> create(
      namespaces::ContainerSpec spec) override {
    auto container = std::make_unique<FakeContainer>(executor_, world_, spec.id);
    last = container.get();
    co_return container;
  }
  boost::asio::awaitable<void> drain() override { co_return; }
  FakeContainer* last = nullptr;

 private:
  boost::asio::any_io_executor executor_;
  FakeWorld& world_;
};

}  // namespace tests
