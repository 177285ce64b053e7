// Sandboxes without memory: what is written down of a pause, what a new service makes of it, and
// what happens when a step fails or somebody kills it in between.
#include "tests/emulator/sandboxes/restart_fixture.h"

namespace emulator::sandboxes {
namespace {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
namespace fs = std::filesystem;
using base::Errc;
using namespace std::chrono_literals;

class SandboxMemoryTest : public RestartTest {
 protected:
  // From now on nothing can be written there, as on a full disk; or again.
  void refuse_rows(bool refuse) {
    const char* change = refuse ? "ALTER TABLE paused_sandboxes RENAME TO away"
                                : "ALTER TABLE away RENAME TO paused_sandboxes";
    ASSERT_TRUE(database->transaction_now({{change, {}}}));
  }
  // A crash: the next emulator has what the rows say.
  cloud::SandboxInfo as_the_next_one_has_it(const std::string& id) {
    auto rows = database->query_now("SELECT body FROM paused_sandboxes WHERE sandbox_id = ?",
                                    store::values(id));
    EXPECT_EQ(rows->size(), 1U);
    return rows->empty() ? cloud::SandboxInfo()
                         : decode_paused(store::text(rows->front().front()))->info;
  }
};

TEST_F(SandboxMemoryTest, APauseIsARowAndGoingOnIsNone) {
  std::string id = make();
  EXPECT_EQ(rows(), 0U);
  ASSERT_TRUE(run(service->pause(id, true)));
  EXPECT_EQ(rows(), 1U);
  EXPECT_TRUE(service->route(id)->auto_resume);
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(world.ended, 0) << "its memory was kept";
}

TEST_F(SandboxMemoryTest, WithoutMemoryOnlyTheFilesStayAndNoTrafficWakesIt) {
  std::string id = make();
  std::string token = service->get(id)->envd_access_token;
  ASSERT_TRUE(run(service->pause(id, false)));
  EXPECT_EQ(world.ended, 1);
  EXPECT_EQ(world.alive, 0);
  EXPECT_FALSE(service->route(id)->auto_resume);
  EXPECT_EQ(run(service->pause(id, false)).error().code(), Errc::kConflict);
  std::uint32_t ids = world.last_spec.ids.first;
  make();  // the next slot: the ids of the first are taken
  auto connected = run(service->connect(id, 60s, std::nullopt));
  ASSERT_TRUE(connected) << connected.error().message();
  EXPECT_TRUE(connected->resumed);
  EXPECT_EQ(connected->info.envd_access_token, token);
  EXPECT_EQ(world.last_spec.id, id);
  EXPECT_TRUE(world.last_spec.existing_files);
  EXPECT_EQ(world.last_spec.ids.first, ids);
  EXPECT_EQ(slots_made, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(last_policy->denied().at(0).rule, "denyOut[0]=9.9.9.9");
  EXPECT_EQ(rows(), 0U);
  EXPECT_TRUE(service->id_by_address("10.71.0.3"));
  EXPECT_FALSE(service->id_by_address("10.71.0.1"));
  EXPECT_TRUE(world.discarded.empty());
}

TEST_F(SandboxMemoryTest, TheNextEmulatorHasItWithAllThatWasSaidOfIt) {
  std::string id = make();
  make();  // runs: it ends with the emulator
  ASSERT_TRUE(run(service->pause(id, true)));
  cloud::SandboxInfo before = *service->get(id);
  end();
  begin("second");
  ASSERT_EQ(service->list().size(), 1U);
  cloud::SandboxInfo after = *service->get(id);
  EXPECT_EQ(after.metadata, before.metadata);
  EXPECT_EQ(after.started_at, before.started_at);
  EXPECT_EQ(after.end_at, before.end_at);
  EXPECT_EQ(after.envd_access_token, before.envd_access_token);
  EXPECT_EQ(after.traffic_access_token, before.traffic_access_token);
  EXPECT_EQ(after.state, cloud::SandboxState::kPaused);
  EXPECT_EQ(after.network->deny_out, before.network->deny_out);
  EXPECT_TRUE(fs::exists(directory / "sandboxes/second" / id / "upper"));
  EXPECT_TRUE(service->route(id)->auto_resume) << "nobody asked for the files alone";
  ASSERT_TRUE(run(service->resume(id)));
  EXPECT_TRUE(world.last_spec.existing_files);
}

TEST_F(SandboxMemoryTest, FilesThatAreGoneAreForgottenAndOnesThatCannotBeReadAreLeft) {
  std::string gone = make();
  std::string odd = make();
  ASSERT_TRUE(run(service->pause(gone, true)));
  ASSERT_TRUE(run(service->pause(odd, true)));
  end();
  fs::remove_all(directory / "sandboxes" / "any" / gone);
  database = std::move(*store::Database::open(directory / "sandlot.db"));
  ASSERT_TRUE(
      database->transaction_now({{"UPDATE paused_sandboxes SET body = '{\"info\":7}' "
                                  "WHERE sandbox_id = ?",
                                  store::values(odd)}}));
  database.reset();
  begin("second");
  EXPECT_TRUE(service->list().empty());
  EXPECT_EQ(*paused_files(*database), std::set<std::string>{odd});
}

TEST_F(SandboxMemoryTest, AStartThatFailsLeavesItPausedWithItsFiles) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, false)));
  world.refuses = true;
  EXPECT_FALSE(run(service->connect(id, 60s, std::nullopt)));
  world.refuses = false;
  failing = true;
  EXPECT_FALSE(run(service->connect(id, 60s, std::nullopt)));
  failing = false;
  world.answer = "error: internal: no";
  EXPECT_FALSE(run(service->connect(id, 60s, std::nullopt)));
  world.answer = "ok";
  EXPECT_EQ(service->get(id)->state, cloud::SandboxState::kPaused);
  EXPECT_EQ(rows(), 1U);
  EXPECT_EQ(world.alive, 0);
  EXPECT_TRUE(world.discarded.empty());
  EXPECT_TRUE(run(service->connect(id, 60s, std::nullopt)));
}

TEST_F(SandboxMemoryTest, AKillRemovesRowAndFilesAtAnyMoment) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, false)));
  ASSERT_TRUE(run(service->kill(id)));
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(world.discarded, std::vector<std::string>{id});
  // While it is being paused: the kill comes when the row is on its way, or there.
  std::string second = make();
  world.freezing = 200ms;
  bool done = false;
  asio::co_spawn(context, service->pause(second, false),
                 [&](const std::exception_ptr&, const base::Result<>& result) {
                   EXPECT_FALSE(result);
                   done = true;
                 });
  context.run_for(2ms);
  ASSERT_TRUE(run(service->kill(second)));
  while (!done) context.run_one_for(1s);
  EXPECT_EQ(rows(), 0U);
  // Its watcher looks up.
  for (int i = 0; i < 200 && world.alive > 0; ++i) {
    context.restart();
    context.run_for(10ms);
  }
  EXPECT_EQ(world.alive, 0);
}

TEST_F(SandboxMemoryTest, AFreshStartMayBeAskedForAndAChangeOfTheNetworkReachesIt) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, true)));
  ASSERT_TRUE(run(service->drop_memory(id)));
  EXPECT_EQ(world.ended, 1);
  cloud::NetworkOptions change;
  change.deny_out = std::vector<std::string>{"8.8.8.8"};
  ASSERT_TRUE(run(service->connect(id, 60s, change)));
  EXPECT_EQ(last_policy->denied().at(0).rule, "denyOut[0]=8.8.8.8");
  ASSERT_TRUE(run(service->drop_memory(id))) << "nothing to do for a running one";
  EXPECT_EQ(world.ended, 1);
}

TEST_F(SandboxMemoryTest, WhatRanAnewCanBePausedAgainUnderTheSameIds) {
  std::string id = make();
  std::uint32_t ids = world.last_spec.ids.first;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(run(service->pause(id, false)));
    ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
    EXPECT_EQ(world.last_spec.ids.first, ids);
  }
  ASSERT_TRUE(run(service->kill(id)));
  EXPECT_EQ(world.alive, 0);
}

TEST_F(SandboxMemoryTest, APausedOneTakesNoNewEnd) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, true)));
  const auto before = service->get(id)->end_at;
  auto refused = run(service->set_timeout(id, 1234s));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::Errc::kNotFound);
  EXPECT_EQ(service->get(id)->end_at, before);
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_TRUE(run(service->set_timeout(id, 77s)));
  EXPECT_EQ(service->get(id)->end_at, clock.now() + 77s);
}

TEST_F(SandboxMemoryTest, AStartThatFailsLeavesTheNetworkThatItsRowNames) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, false)));
  auto before = service->get(id)->network;
  auto policy = service->policy_of(id);
  world.refuses = true;
  cloud::NetworkOptions change;
  change.deny_out = std::vector<std::string>{"8.8.8.8"};
  change.allow_public_traffic = true;
  EXPECT_FALSE(run(service->connect(id, 60s, change)));
  EXPECT_FALSE(run(service->resume(id, 60s, std::nullopt, change)));
  world.refuses = false;
  EXPECT_EQ(service->get(id)->network->deny_out, before->deny_out);
  EXPECT_NE(service->get(id)->traffic_access_token, "") << "still private";
  EXPECT_EQ(service->policy_of(id), policy);
  EXPECT_EQ(as_the_next_one_has_it(id).network->deny_out, before->deny_out);
  ASSERT_TRUE(run(service->connect(id, 60s, change)));
  EXPECT_EQ(service->get(id)->network->deny_out, change.deny_out);
}

TEST_F(SandboxMemoryTest, AResetThatStaysPausedIsWrittenBeforeTheOldFilesGo) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, false)));
  cloud::ResetRequest request;
  request.resume = false;
  request.timeout = 4321s;
  refuse_rows(true);
  EXPECT_FALSE(run(service->reset(id, request)));
  EXPECT_EQ(service->get(id)->state, cloud::SandboxState::kPaused);
  EXPECT_EQ(world.alive, 0) << "what was made for it is gone";
  EXPECT_TRUE(world.discarded.empty()) << "its files are not";
  refuse_rows(false);
  ASSERT_TRUE(run(service->reset(id, request)));
  EXPECT_EQ(world.discarded, std::vector<std::string>{id});
  EXPECT_EQ(as_the_next_one_has_it(id).end_at, clock.now()) << "when it was paused";
  EXPECT_EQ(*paused_files(*database), std::set<std::string>{world.last_spec.id});
  EXPECT_NE(world.last_spec.id, id);
  ASSERT_TRUE(run(service->resume(id)));
  EXPECT_EQ(service->get(id)->started_at, clock.now());
  EXPECT_EQ(service->get(id)->end_at, clock.now() + 4321s) << "what the reset said";
  ASSERT_TRUE(run(service->kill(id)));
  EXPECT_EQ(rows(), 0U);
}

TEST_F(SandboxMemoryTest, AKillWhoseRowStaysHasDeletedTheFilesWhenItReturns) {
  for (bool with_memory : {true, false}) {
    world.discarded.clear();
    std::string id = make();
    ASSERT_TRUE(run(service->pause(id, with_memory)));
    refuse_rows(true);
    EXPECT_TRUE(run(service->kill(id)));
    EXPECT_EQ(world.discarded, std::vector<std::string>{id});
    EXPECT_EQ(world.alive, 0);
    refuse_rows(false);
    EXPECT_EQ(rows(), 1U);
    fs::remove_all(directory / "sandboxes" / "any" / id);
    end();
    begin(with_memory ? "second" : "third0");
    EXPECT_TRUE(service->list().empty());
    EXPECT_EQ(rows(), 0U) << "nobody's";
  }
}

TEST_F(SandboxMemoryTest, AMemoryThatCannotBeReplacedIsNotDropped) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, true)));
  make();
  service->set_max_running(1);
  EXPECT_EQ(run(service->drop_memory(id)).error().code(), Errc::kResourceExhausted);
  EXPECT_EQ(world.ended, 0);
}

TEST_F(SandboxMemoryTest, AResetAndAnEndThatKeepsNothingKillPausedOnesToo) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, false)));
  EXPECT_EQ(run(service->kill_all()), 1U);
  EXPECT_EQ(rows(), 0U);
  ASSERT_TRUE(run(service->pause(make(), true)));
  end(false);
  begin("second");
  EXPECT_TRUE(service->list().empty());
}

}  // namespace
}  // namespace emulator::sandboxes
