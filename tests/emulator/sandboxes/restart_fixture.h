// One emulator's sandboxes after another's, on one data directory: a LocalSandboxService over a
// fake runtime, with the rows of the paused ones and of the secrets.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/sandboxes/local_sandbox_service.h"
#include "tests/emulator/sandboxes/fake_runtime.h"
#include "tests/support/run_task.h"

#include <stdlib.h>

namespace emulator::sandboxes {

class StillClock final : public base::Clock {
 public:
  base::TimePoint now() const override { return base::TimePoint(std::chrono::hours(24 * 20000)); }
  boost::asio::awaitable<void> sleep_until(base::TimePoint) override {
    co_await base::sleep_for(std::chrono::hours(1));
  }
};

// One emulator after another on one data directory.
class RestartTest : public testing::Test {
 protected:
  RestartTest() {
    std::string pattern = "/tmp/sandlot-paused-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    Template item;
    item.id = "templateid0000000000";
    item.names = {"base"};
    item.rootfs.root_layers = {"/"};
    templates.add(item);
    begin("first0");
  }
  ~RestartTest() override {
    end();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }

  void begin(const std::string& instance) {
    std::filesystem::create_directories(directory / "sandboxes" / instance);
    auto opened = store::Database::open(directory / "sandlot.db");
    ASSERT_TRUE(opened) << opened.error().message();
    database = std::move(*opened);
    paused = std::make_unique<PausedStore>(*database, directory, instance);
    auto make_slot = [this](int index, std::uint32_t, bool) -> base::Result<netfilter::Slot> {
      netfilter::Slot slot;
      slot.index = index;
      slot.first_id = 1000000U + static_cast<std::uint32_t>(index) * 65536U;
      slot.address = "10.71.0." + std::to_string(index);
      slots_made.push_back(index);
      return slot;
    };
    slots = std::make_shared<SlotPool>(blocking, make_slot, 0);
    FailStep fine = [](std::string_view) { return base::Result<>(); };
    blanks = std::make_unique<BlankPool>(context.get_executor(), runtime, slots, 0, fine);
    auto known = secrets::SecretStore::open(*database, clock);
    ASSERT_TRUE(known) << known.error().message();
    secrets = std::move(*known);
    LocalSandboxService::Hooks hooks;
    hooks.secrets = secrets.get();
    hooks.paused = paused.get();
    hooks.apply_policy = [this](auto, std::shared_ptr<const netfilter::Policy> policy) {
      return load(std::move(policy));
    };
    service = std::make_unique<LocalSandboxService>(context.get_executor(), clock, templates,
                                                    *blanks, std::move(hooks));
    auto adopted = paused->adopt();
    ASSERT_TRUE(adopted) << adopted.error().message();
    service->restore(std::move(*adopted));
  }
  void end(bool keep_paused = true) {
    tests::run_task(context, service->stop(keep_paused));
    tests::run_task(context, blanks->stop());
    service.reset();
    secrets.reset();
    blanks.reset();
    database.reset();
  }
  base::Task<> load(std::shared_ptr<const netfilter::Policy> policy) {
    last_policy = std::move(policy);
    if (failing) co_return base::fail(base::Errc::kUnavailable, "iptables says no");
    co_return base::Result<>();
  }
  template <class T>
  T run(boost::asio::awaitable<T> task) {
    return tests::run_task(context, std::move(task));
  }
  std::string make() {
    fakeapi::cloud::NewSandbox request;
    request.template_id = "base";
    request.env_vars = {{"K", "v"}};
    request.metadata = fakeapi::cloud::StringMap{{"a", "b"}};
    request.auto_pause = true;
    request.auto_resume = true;
    request.network.emplace();
    request.network->deny_out = std::vector<std::string>{"9.9.9.9"};
    request.network->allow_public_traffic = false;
    auto made = run(service->create(std::move(request)));
    EXPECT_TRUE(made) << made.error().message();
    // What the runtime makes in earnest.
    std::filesystem::create_directories(directory / "sandboxes" / "any" / made->sandbox_id /
                                        "upper");
    return made->sandbox_id;
  }
  std::size_t rows() {
    return database->query_now("SELECT sandbox_id FROM paused_sandboxes")->size();
  }

  std::filesystem::path directory;
  boost::asio::io_context context{1};
  base::BlockingPool blocking{1};
  StillClock clock;
  tests::FakeWorld world;
  tests::FakeRuntime runtime{context.get_executor(), world};
  TemplateStore templates;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<PausedStore> paused;
  std::unique_ptr<secrets::SecretStore> secrets;
  std::shared_ptr<SlotPool> slots;
  std::unique_ptr<BlankPool> blanks;
  std::unique_ptr<LocalSandboxService> service;
  std::shared_ptr<const netfilter::Policy> last_policy;
  std::vector<int> slots_made;
  bool failing = false;
};

}  // namespace emulator::sandboxes
