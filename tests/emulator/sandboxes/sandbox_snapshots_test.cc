// Snapshots, clones and resets of LocalSandboxService, without a machine: states, and what a
// failure leaves.
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/sandboxes/local_sandbox_service.h"
#include "tests/emulator/sandboxes/fake_runtime.h"
#include "tests/emulator/store/database_fixture.h"

namespace emulator::sandboxes {
namespace {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using asio::experimental::awaitable_operators::operator&&;
using base::Errc;
using namespace std::chrono_literals;

class SandboxSnapshotsTest : public store::DatabaseTest {
 protected:
  SandboxSnapshotsTest() {
    Template item;
    item.id = "templateid0000000000";
    item.names = {"base"};
    item.rootfs.root_layers = {"/"};
    templates_.add(std::move(item));
    open();
    catalogue_ = std::make_unique<SnapshotCatalogue>(context_.get_executor(), *database_,
                                                     templates_, directory_, "test00");
    service_ = std::make_unique<LocalSandboxService>(context_.get_executor(), clock_, templates_,
                                                     blanks_, LocalSandboxService::Hooks());
    service_->set_snapshots(catalogue_.get());
  }
  ~SandboxSnapshotsTest() override {
    tests::run_task(context_, service_->stop());
    tests::run_task(context_, catalogue_->stop());
    tests::run_task(context_, blanks_.stop());
  }

  template <class T>
  T run(asio::awaitable<T> task) {
    return tests::run_task(context_, std::move(task));
  }
  base::Result<cloud::SandboxInfo> create(const std::string& reference = "base") {
    cloud::NewSandbox request;
    request.template_id = reference;
    return run(service_->create(std::move(request)));
  }
  cloud::SandboxState state(const std::string& id) { return service_->get(id)->state; }

  base::SystemClock clock_;
  base::BlockingPool blocking_{1};
  tests::FakeWorld world_;
  TemplateStore templates_;
  tests::FakeRuntime runtime_{context_.get_executor(), world_};
  std::shared_ptr<SlotPool> slots_ = std::make_shared<SlotPool>(
      blocking_,
      [](int index, std::uint32_t, bool) -> base::Result<netfilter::Slot> {
        netfilter::Slot slot;
        slot.index = index;
        slot.address = "10.71.0." + std::to_string(index);
        return slot;
      },
      0);
  BlankPool blanks_{context_.get_executor(), runtime_, slots_, 0,
                    [](std::string_view) { return base::Result<>(); }};
  std::unique_ptr<SnapshotCatalogue> catalogue_;
  std::unique_ptr<LocalSandboxService> service_;
};

TEST_F(SandboxSnapshotsTest, ASandboxIsFrozenForTheCopyingAndItsConnectionsStay) {
  std::string id = create()->sandbox_id;
  auto connections = service_->route(id)->connections;
  auto taken = run(service_->take_snapshot(id, ""));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_TRUE(world_.frozen_at_capture);
  EXPECT_FALSE(world_.frozen);
  EXPECT_EQ(service_->route(id)->connections, connections);
  EXPECT_EQ(state(id), cloud::SandboxState::kRunning);
  EXPECT_TRUE(create(taken->as_template.template_id));
}

TEST_F(SandboxSnapshotsTest, AFailedOneLeavesTheSandboxRunning) {
  std::string id = create()->sandbox_id;
  world_.capture_error = base::Error(Errc::kNoSpace, "disk full");
  auto taken = run(service_->take_snapshot(id, "snap"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::kNoSpace);
  EXPECT_FALSE(world_.frozen);
  EXPECT_EQ(state(id), cloud::SandboxState::kRunning);
  EXPECT_FALSE(run(service_->clone(id, cloud::CloneRequest())));
  EXPECT_EQ(service_->size(), 1U);
  EXPECT_TRUE(run(service_->snapshots())->empty());
  EXPECT_TRUE(run(service_->pause(id, true)));
}

TEST_F(SandboxSnapshotsTest, OneThatStandsStillByAFaultGoesOnStandingStill) {
  std::string id = create()->sandbox_id;
  ASSERT_TRUE(run(service_->set_stuck(id, true)));
  EXPECT_TRUE(run(service_->take_snapshot(id, "")));
  EXPECT_TRUE(world_.frozen);
  EXPECT_TRUE(service_->life_of(id)->stuck);
  ASSERT_TRUE(run(service_->set_stuck(id, false)));
  EXPECT_FALSE(world_.frozen);
}

TEST_F(SandboxSnapshotsTest, AResetEndsTheFaultsOfItsContainer) {
  std::string id = create()->sandbox_id;
  ASSERT_TRUE(run(service_->set_stuck(id, true)));
  ASSERT_TRUE(run(service_->set_disk_full(id, true)));
  EXPECT_TRUE(world_.disk_full);
  unsigned container = service_->life_of(id)->container;
  ASSERT_TRUE(run(service_->reset(id, cloud::ResetRequest())));
  EXPECT_NE(service_->life_of(id)->container, container);
  EXPECT_FALSE(service_->life_of(id)->stuck);
  world_.disk_full = false;
  ASSERT_TRUE(run(service_->set_disk_full(id, false)));
  ASSERT_TRUE(run(service_->set_disk_full(id, true)));
  EXPECT_TRUE(world_.disk_full) << "the new one was not full";
}

TEST_F(SandboxSnapshotsTest, FaultsNeedARunningSandboxAndTheirEndDoesNot) {
  std::string id = create()->sandbox_id;
  ASSERT_TRUE(run(service_->set_disk_full(id, true)));
  ASSERT_TRUE(run(service_->pause(id, true)));
  EXPECT_EQ(run(service_->kill_largest(id)).error().code(), Errc::kConflict);
  EXPECT_EQ(run(service_->set_stuck(id, true)).error().code(), Errc::kConflict);
  EXPECT_TRUE(run(service_->set_disk_full(id, false)));
  EXPECT_FALSE(world_.disk_full);
  EXPECT_EQ(run(service_->set_disk_full(id, true)).error().code(), Errc::kConflict);
  EXPECT_TRUE(run(service_->network_of(id)));
  EXPECT_FALSE(service_->life_of("nobody"));
  EXPECT_EQ(run(service_->network_of("nobody")).error().code(), Errc::kNotFound);
}

TEST_F(SandboxSnapshotsTest, KilledDuringTheCopyingItIsNotFound) {
  std::string id = create()->sandbox_id;
  world_.capturing = 50ms;
  auto kill_soon = [](LocalSandboxService& service, std::string name) -> base::Task<> {
    co_await base::sleep_for(10ms);
    co_return co_await service.kill(std::move(name));
  };
  auto [taken, killed] = run(service_->take_snapshot(id, "") && kill_soon(*service_, id));
  EXPECT_TRUE(killed);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::kNotFound);
  EXPECT_TRUE(run(service_->snapshots())->empty());
  EXPECT_TRUE(std::filesystem::is_empty(directory_ / "snapshots"));
}

TEST_F(SandboxSnapshotsTest, APauseWaitsForTheCopying) {
  std::string id = create()->sandbox_id;
  world_.capturing = 30ms;
  auto pause_soon = [](LocalSandboxService& service, std::string name) -> base::Task<> {
    co_await base::sleep_for(10ms);
    co_return co_await service.pause(std::move(name), true);
  };
  auto [taken, paused] = run(service_->take_snapshot(id, "") && pause_soon(*service_, id));
  EXPECT_TRUE(taken);
  EXPECT_TRUE(paused);
  EXPECT_EQ(state(id), cloud::SandboxState::kPaused);
  EXPECT_TRUE(world_.frozen);
  // A paused one is copied as it is.
  EXPECT_TRUE(run(service_->take_snapshot(id, "")));
  EXPECT_TRUE(world_.frozen);
  EXPECT_EQ(state(id), cloud::SandboxState::kPaused);
}

TEST_F(SandboxSnapshotsTest, OneWithoutMemoryIsCopiedAndResetLikeAnyOther) {
  std::string id = create()->sandbox_id;
  ASSERT_TRUE(run(service_->pause(id, false)));
  EXPECT_EQ(world_.alive, 0);
  EXPECT_TRUE(run(service_->take_snapshot(id, "")));
  EXPECT_EQ(state(id), cloud::SandboxState::kPaused);
  cloud::ResetRequest request;
  request.resume = false;
  ASSERT_TRUE(run(service_->reset(id, request)));
  EXPECT_EQ(world_.alive, 1);
  EXPECT_EQ(world_.discarded, std::vector<std::string>{id});
  EXPECT_EQ(state(id), cloud::SandboxState::kPaused);
  EXPECT_TRUE(run(service_->connect(id, 60s, std::nullopt)));
}

TEST_F(SandboxSnapshotsTest, StrictClonesAreAllOrNone) {
  service_->set_max_running(3);
  std::string id = create()->sandbox_id;
  cloud::CloneRequest request;
  request.count = 4;
  request.strict = true;
  auto none = run(service_->clone(id, request));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Errc::kResourceExhausted);
  EXPECT_EQ(service_->size(), 1U);
  request.strict = false;
  auto some = run(service_->clone(id, request));
  ASSERT_TRUE(some);
  ASSERT_EQ(some->sandboxes.size(), 4U);
  EXPECT_TRUE(some->sandboxes[1]);
  EXPECT_FALSE(some->sandboxes[2]);
  EXPECT_EQ(service_->size(), 3U);
  auto full = run(service_->clone(id, request));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), Errc::kResourceExhausted);
}

TEST_F(SandboxSnapshotsTest, AResetOfOneThatIsChangingIsAConflict) {
  std::string id = create()->sandbox_id;
  world_.capturing = 30ms;
  auto reset_soon = [](LocalSandboxService& service, std::string name) -> base::Task<> {
    co_await base::sleep_for(10ms);
    cloud::ResetRequest request;
    auto reset = co_await service.reset(std::move(name), std::move(request));
    if (reset) co_return base::Result<>();
    co_return base::Failure(std::move(reset).error());
  };
  auto [taken, reset] = run(service_->take_snapshot(id, "") && reset_soon(*service_, id));
  EXPECT_TRUE(taken);
  ASSERT_FALSE(reset);
  EXPECT_EQ(reset.error().code(), Errc::kConflict);
  EXPECT_TRUE(run(service_->reset(id, cloud::ResetRequest())));
}

TEST_F(SandboxSnapshotsTest, AResetMakesAnotherContainerOfTheSameName) {
  std::string id = create()->sandbox_id;
  std::string address = service_->route(id)->address;
  int made = world_.created;
  ASSERT_TRUE(run(service_->reset(id, cloud::ResetRequest())));
  EXPECT_EQ(world_.created, made + 1);
  EXPECT_EQ(world_.alive, 1);
  EXPECT_NE(service_->route(id)->address, address);
  EXPECT_EQ(service_->id_by_address(address), std::nullopt);
  EXPECT_EQ(service_->id_by_address(service_->route(id)->address), id);
  // The death of the old one was not the sandbox's.
  context_.restart();
  context_.run_for(20ms);
  EXPECT_TRUE(service_->get(id));
  runtime_.last->die();
  context_.run_for(20ms);
  EXPECT_FALSE(service_->get(id));
}

}  // namespace
}  // namespace emulator::sandboxes
