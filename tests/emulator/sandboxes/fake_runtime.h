// A ContainerRuntime without Linux: containers are a socket pair whose far end answers "ok" to
// every message. Counts what is alive, so that a test can see what a failure leaves behind.
#pragma once

#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/base/posix.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "namespaces/container_runtime.h"

namespace tests {

struct FakeWorld {
  int alive = 0;  // containers that exist
  int created = 0;
  bool frozen = false;
  bool disk_full = false;
  std::chrono::milliseconds freezing{};  // how long a freeze takes
  std::string answer = "ok";
  std::chrono::milliseconds answering_takes{};
  bool refuses = false;  // to make containers
  int gave_memory_back = 0;
  bool frozen_at_giving = false;
  int ended = 0;  // whose files stay
  std::vector<std::string> discarded;
  namespaces::ContainerSpec last_spec;
  std::chrono::milliseconds capturing{};
  bool frozen_at_capture = false;
  std::optional<base::Error> capture_error;
  int clock_messages = 0;
  fakeapi::envd::ClockSetting last_clock;
  std::string last_message;  // to any agent
};

class FakeContainer final : public namespaces::Container {
 public:
  FakeContainer(boost::asio::any_io_executor executor, FakeWorld& world, std::string id)
      : world_(world), id_(std::move(id)), exit_(std::make_shared<Exit>(executor)) {
    auto pair = base::make_socketpair(SOCK_SEQPACKET);
    ours_ = std::move(pair->first);
    agent_ = std::make_shared<Socket>(executor, pair->second.release());
    boost::asio::co_spawn(executor, answer(agent_, &world), [](const std::exception_ptr&) {});
    ++world_.alive;
    ++world_.created;
  }
  ~FakeContainer() override {
    boost::system::error_code ignored;
    agent_->close(ignored);
    exit_->told.cancel();
    --world_.alive;
  }
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
  void give_memory_back() override {
    world_.frozen_at_giving = world_.frozen;
    ++world_.gave_memory_back;
  }
  base::Task<> kill() override {
    die();
    co_return base::Result<>();
  }
  base::Task<> end() override {
    ++world_.ended;
    die();
    co_return base::Result<>();
  }
  base::Task<> exited() override {
    // The container may be gone when the wait ends.
    std::shared_ptr<Exit> exit = exit_;
    co_await exit->told.async_wait(base::kUse);
    if (!exit->dead) co_return base::fail(base::Errc::kCanceled, "cancelled");
    co_return base::Result<>();
  }
  base::Result<> set_memory(int megabytes) override {
    memory = megabytes;
    return {};
  }
  int memory = 0;
  base::Task<> kill_largest() override { co_return base::Result<>(); }
  base::Task<> set_disk_full(bool full) override {
    world_.disk_full = full;
    co_return base::Result<>();
  }
  base::Result<namespaces::Usage> usage() const override { return namespaces::Usage(); }
  base::Task<namespaces::CaptureReport> capture(std::filesystem::path directory) override {
    if (world_.capturing.count() > 0) co_await base::sleep_for(world_.capturing);
    world_.frozen_at_capture = world_.frozen;
    if (world_.capture_error) co_return base::Failure(*world_.capture_error);
    co_return capture_nothing(directory);
  }
  static namespaces::CaptureReport capture_nothing(const std::filesystem::path& directory) {
    for (const char* name : {namespaces::kCapturedRoot, namespaces::kCapturedUsr}) {
      std::filesystem::create_directory(directory / name);
    }
    return {};
  }
  void die() {
    exit_->dead = true;
    exit_->told.cancel();
  }

 private:
  struct Exit {
    explicit Exit(boost::asio::any_io_executor executor)
        : told(std::move(executor), boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer told;
    bool dead = false;
  };
  using Socket = boost::asio::posix::stream_descriptor;
  static boost::asio::awaitable<void> answer(std::shared_ptr<Socket> agent, FakeWorld* world) {
    std::array<char, 8192> message{};
    for (;;) {
      auto [error] = co_await agent->async_wait(Socket::wait_read, base::kUse);
      if (error) co_return;
      auto count = ::recv(agent->native_handle(), message.data(), message.size(), MSG_DONTWAIT);
      if (count <= 0) co_return;
      std::string_view text(message.data(), static_cast<std::size_t>(count));
      world->last_message = text;
      if (auto clock = fakeapi::envd::decode_clock(text)) {
        ++world->clock_messages;
        world->last_clock = *clock;
      }
      if (world->answering_takes.count() > 0) co_await base::sleep_for(world->answering_takes);
      std::ignore = ::send(agent->native_handle(), world->answer.data(), world->answer.size(), 0);
    }
  }

  FakeWorld& world_;
  std::string id_;
  base::UniqueFd ours_;
  std::shared_ptr<Socket> agent_;
  std::shared_ptr<Exit> exit_;
};

class FakeRuntime final : public namespaces::ContainerRuntime {
 public:
  FakeRuntime(boost::asio::any_io_executor executor, FakeWorld& world)
      : executor_(std::move(executor)), world_(world) {}
  base::Task<std::unique_ptr<namespaces::Container>> create(
      namespaces::ContainerSpec spec) override {
    world_.last_spec = spec;
    if (world_.refuses) co_return base::fail(base::Errc::kInternal, "no container today");
    auto container = std::make_unique<FakeContainer>(executor_, world_, spec.id);
    last = container.get();
    co_return container;
  }
  void discard_files(const std::string& id) override { world_.discarded.push_back(id); }
  base::Task<> remove_files(std::string id) override {
    world_.discarded.push_back(std::move(id));
    co_return base::Result<>();
  }
  base::Task<namespaces::CaptureReport> capture_files(std::string,
                                                      namespaces::IdRange,
                                                      std::filesystem::path directory) override {
    co_return FakeContainer::capture_nothing(directory);
  }
  boost::asio::awaitable<void> drain() override { co_return; }
  FakeContainer* last = nullptr;

 private:
  boost::asio::any_io_executor executor_;
  FakeWorld& world_;
};

}  // namespace tests
