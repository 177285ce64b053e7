#include "emulator/sandboxes/local_sandbox_service.h"

#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/emulator/sandboxes/fake_runtime.h"

namespace emulator::sandboxes {
namespace {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;
using namespace std::chrono_literals;

// Time that stands still until it is moved.
class FakeClock final : public base::Clock {
 public:
  base::TimePoint now() const override { return now_; }
  asio::awaitable<void> sleep_until(base::TimePoint when) override {
    while (now_ < when) co_await base::sleep_for(1ms);
  }
  void advance(std::chrono::seconds by) { now_ += by; }

 private:
  base::TimePoint now_{std::chrono::hours(24 * 365 * 50)};
};

class LocalSandboxServiceTest : public testing::Test {
 protected:
  LocalSandboxServiceTest() {
    Template base_template;
    base_template.id = "templateid0000000000";
    base_template.names = {"base"};
    base_template.rootfs.root_layers = {"/"};
    templates.add(base_template);
    LocalSandboxService::Hooks hooks;
    hooks.fail_step = fail_step();
    hooks.cut_egress = [this](const std::string& id) { cut.push_back(id); };
    hooks.apply_policy = [this](auto, std::shared_ptr<const netfilter::Policy> policy) {
      return load_policy(std::move(policy));
    };
    hooks.close_slot = [this](auto) { return note_closing(); };
    hooks.policy_changed = [this](const std::string& id) { changed.push_back(id); };
    service = std::make_unique<LocalSandboxService>(context.get_executor(), clock, templates,
                                                    blanks, hooks);
  }
  ~LocalSandboxServiceTest() override {
    run(service->stop());
    run(blanks.stop());
  }

  FailStep fail_step() {
    return [this](std::string_view step) -> base::Result<> {
      if (step == failing)
        return base::fail(Errc::kInternal, "step " + std::string(step) + " failed");
      return {};
    };
  }

  template <class T>
  T run(asio::awaitable<T> task) {
    if constexpr (std::is_void_v<T>) {
      bool done = false;
      asio::co_spawn(context, std::move(task), [&](const std::exception_ptr&) { done = true; });
      context.restart();
      while (!done) context.run_one_for(5s);
    } else {
      std::optional<T> result;
      asio::co_spawn(context, std::move(task),
                     [&](const std::exception_ptr&, T value) { result.emplace(std::move(value)); });
      context.restart();
      while (!result) context.run_one_for(5s);
      return std::move(*result);
    }
  }

  base::Task<> load_policy(std::shared_ptr<const netfilter::Policy> policy) {
    co_await base::sleep_for(2ms);
    if (failing == "load") co_return base::fail(Errc::kUnavailable, "iptables says no");
    loaded.push_back(policy->denied().empty() ? "open" : policy->denied()[0].rule);
    co_return base::Result<>();
  }
  base::Task<> note_closing() {
    closings.push_back(changed.size());
    co_return base::Result<>();
  }
  // Whether 1.1.1.1:443 may be reached.
  bool open(const std::string& id) {
    auto policy = service->policy_of(id);
    return policy && netfilter::decide(*policy, {{1, 1, 1, 1}, 443}).allowed;
  }
  static cloud::NetworkOptions lists(std::vector<std::string> allow,
                                     std::vector<std::string> deny) {
    cloud::NetworkOptions options;
    options.allow_out = std::move(allow);
    options.deny_out = std::move(deny);
    return options;
  }

  void spin(std::chrono::milliseconds time) {
    context.restart();
    context.run_for(time);
  }

  std::string make(std::chrono::seconds timeout = 300s, bool auto_pause = false) {
    cloud::NewSandbox request;
    request.template_id = "base";
    request.timeout = timeout;
    request.auto_pause = auto_pause;
    auto made = run(service->create(request));
    EXPECT_TRUE(made) << made.error().message();
    return made ? made->sandbox_id : "";
  }

  asio::io_context context;
  base::BlockingPool blocking{1};
  FakeClock clock;
  tests::FakeWorld world;
  std::string failing;
  std::vector<std::string> cut;
  // For each closing of a slot: how many changes the proxy had heard of by then.
  std::vector<std::size_t> closings;
  std::vector<std::string> loaded;   // first rules of the policies that went to the kernel
  std::vector<std::string> changed;  // whose live connections were judged anew
  std::vector<int> slots_made;
  TemplateStore templates;
  tests::FakeRuntime runtime{context.get_executor(), world};
  std::shared_ptr<SlotPool> slots = std::make_shared<SlotPool>(
      blocking,
      [this](int index, std::uint32_t, bool) -> base::Result<netfilter::Slot> {
        netfilter::Slot slot;
        slot.index = index;
        slot.address = "10.71.0." + std::to_string(index);
        slots_made.push_back(index);
        return slot;
      },
      0);
  BlankPool blanks{context.get_executor(), runtime, slots, 0, fail_step()};
  std::unique_ptr<LocalSandboxService> service;
};

TEST_F(LocalSandboxServiceTest, APausedOneGivesItsMemoryBack) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, true)));
  EXPECT_EQ(world.gave_memory_back, 1);
  EXPECT_TRUE(world.frozen_at_giving);
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  ASSERT_TRUE(run(service->pause(id, false)));
  EXPECT_EQ(world.gave_memory_back, 1) << "there is none left to give";
}

TEST_F(LocalSandboxServiceTest, TrafficWakesWhatWasMadeForIt) {
  cloud::NewSandbox request;
  request.template_id = "base";
  request.timeout = 60s;
  request.auto_pause = true;
  request.auto_resume = true;
  std::string id = run(service->create(request))->sandbox_id;
  ASSERT_TRUE(run(service->pause(id, true)));
  auto route = service->route(id);
  ASSERT_TRUE(route);
  EXPECT_TRUE(route->paused);
  EXPECT_TRUE(route->auto_resume);
  clock.advance(1000s);
  ASSERT_TRUE(run(service->resume(id)));
  EXPECT_TRUE(run(service->resume(id)));  // somebody else's request came first
  EXPECT_FALSE(service->route(id)->paused);
  EXPECT_EQ(service->get(id)->end_at, clock.now() + 300s) << "at least five minutes";
  EXPECT_EQ(service->route(id)->ingress->daemon_token, service->get(id)->envd_access_token);
  EXPECT_FALSE(run(service->resume("nobody")));
}

TEST_F(LocalSandboxServiceTest, TrafficDoesNotWakeWhatEndsOtherwise) {
  cloud::NewSandbox request;
  request.template_id = "base";
  request.auto_resume = true;  // without auto_pause
  std::string id = run(service->create(request))->sandbox_id;
  EXPECT_FALSE(service->route(id)->auto_resume);
}

TEST_F(LocalSandboxServiceTest, RunsNoMoreThanItMay) {
  service->set_max_running(2);
  std::string first = make();
  std::string second = make();
  cloud::NewSandbox request;
  request.template_id = "base";
  auto refused = run(service->create(request));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kResourceExhausted);
  EXPECT_EQ(refused.error().message(),
            "Sandbox limit reached: 2 may run at once (--max-sandboxes)");
  // A paused one takes no place, and needs one to go on.
  ASSERT_TRUE(run(service->pause(first, true)));
  std::string third = make();
  auto resumed = run(service->connect(first, 60s, std::nullopt));
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code(), Errc::kResourceExhausted);
  EXPECT_EQ(service->get(first)->state, cloud::SandboxState::kPaused);
  EXPECT_TRUE(run(service->kill(third)));
  EXPECT_TRUE(run(service->connect(first, 60s, std::nullopt)));
}

TEST_F(LocalSandboxServiceTest, AConnectThatIsRefusedChangesNothing) {
  service->set_max_running(1);
  cloud::NewSandbox request;
  request.template_id = "base";
  request.network = lists({}, {"0.0.0.0/0"});
  std::string id = run(service->create(request))->sandbox_id;
  ASSERT_TRUE(run(service->pause(id, true)));
  make();
  auto refused = run(service->connect(id, 60s, lists({}, {})));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kResourceExhausted);
  EXPECT_EQ(service->get(id)->network->deny_out, std::vector<std::string>{"0.0.0.0/0"});
  EXPECT_FALSE(open(id));
}

TEST_F(LocalSandboxServiceTest, EveryAgentHasTheClockBeforeItServes) {
  std::string running = make();
  std::string paused = make();
  ASSERT_TRUE(run(service->pause(paused, true)));
  int told = world.clock_messages;
  fakeapi::envd::ClockSetting setting;
  setting.offset_ms = 60000;
  run(service->clock_changed(setting));
  EXPECT_EQ(world.clock_messages, told + 1) << "the paused one cannot be told";
  run(service->clock_changed(setting));
  EXPECT_EQ(world.clock_messages, told + 1) << "it knows already";
  ASSERT_TRUE(run(service->connect(paused, 60s, std::nullopt)));
  EXPECT_EQ(world.clock_messages, told + 2);
  EXPECT_EQ(world.last_clock.offset_ms, 60000);
}

TEST_F(LocalSandboxServiceTest, TwoCreatesAtOnceDoNotShareTheLastPlace) {
  service->set_max_running(1);
  int made = 0;
  int refused = 0;
  for (int i = 0; i < 3; ++i) {
    cloud::NewSandbox request;
    request.template_id = "base";
    asio::co_spawn(context, service->create(request),
                   [&](const std::exception_ptr&, base::Result<cloud::SandboxInfo> result) {
                     ++(result ? made : refused);
                   });
  }
  spin(100ms);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, 2);
}

TEST_F(LocalSandboxServiceTest, KilledWhileItPausesAtItsEndIsGone) {
  world.freezing = 20ms;
  std::string id = make(1s, true);
  clock.advance(2s);
  spin(10ms);
  ASSERT_EQ(service->get(id)->state, cloud::SandboxState::kPaused);  // shown so while it pauses
  EXPECT_TRUE(run(service->kill(id)));
  spin(40ms);
  EXPECT_FALSE(service->get(id));
  EXPECT_EQ(service->size(), 0U);
}

TEST_F(LocalSandboxServiceTest, ACreatedSandboxCanBeFoundByIdAndByAddress) {
  std::string id = make();
  EXPECT_EQ(service->get(id)->sandbox_id, id);
  EXPECT_EQ(service->id_by_address("10.71.0.1"), id);
  auto route = service->route(id);
  ASSERT_TRUE(route);
  EXPECT_FALSE(route->paused);
  EXPECT_EQ(service->list().size(), 1U);
}

TEST_F(LocalSandboxServiceTest, AnUnknownTemplateMakesNothing) {
  cloud::NewSandbox request;
  request.template_id = "nope";
  auto made = run(service->create(request));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kNotFound);
  EXPECT_EQ(world.created, 0);
}

TEST_F(LocalSandboxServiceTest, AFailureAtAnyStepUndoesTheStepsBefore) {
  for (const char* step : {"slot", "container", "configure", "register"}) {
    failing = step;
    cloud::NewSandbox request;
    request.template_id = "base";
    EXPECT_FALSE(run(service->create(request))) << step;
    EXPECT_EQ(world.alive, 0) << step;
    EXPECT_EQ(service->size(), 0U) << step;
  }
}

TEST_F(LocalSandboxServiceTest, AnAgentThatRefusesFailsTheCreateWithItsWords) {
  world.answer = "error: no_space: no";
  cloud::NewSandbox request;
  request.template_id = "base";
  auto made = run(service->create(request));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kNoSpace);
  EXPECT_NE(made.error().message().find("no_space: no"), std::string::npos);
  EXPECT_EQ(world.alive, 0);
}

TEST_F(LocalSandboxServiceTest, AKilledSandboxIsGoneAtOnceAndItsConnectionsAreCut) {
  std::string id = make();
  auto connections = service->route(id)->connections;
  bool was_cut = false;
  auto registration = proxy::LiveConnections::add(connections, [&] { was_cut = true; });
  EXPECT_TRUE(run(service->kill(id)));
  EXPECT_TRUE(was_cut);
  EXPECT_TRUE(connections->closed());
  EXPECT_EQ(cut, std::vector<std::string>{id});
  EXPECT_FALSE(service->route(id));
  EXPECT_EQ(service->get(id).error().code(), Errc::kNotFound);
  EXPECT_EQ(run(service->kill(id)).error().code(), Errc::kNotFound);
}

TEST_F(LocalSandboxServiceTest, ATimeoutKillsWhenItsTimeHasCome) {
  std::string id = make(10s);
  clock.advance(9s);
  spin(20ms);
  EXPECT_TRUE(service->get(id));
  clock.advance(1s);
  spin(20ms);
  EXPECT_FALSE(service->get(id));
}

TEST_F(LocalSandboxServiceTest, AShorterTimeoutTakesEffectAtOnce) {
  std::string id = make(1000s);
  spin(5ms);
  EXPECT_TRUE(run(service->set_timeout(id, 5s)));
  clock.advance(6s);
  spin(20ms);
  EXPECT_FALSE(service->get(id));
}

TEST_F(LocalSandboxServiceTest, AutoPausePausesInsteadOfKilling) {
  std::string id = make(10s, true);
  clock.advance(11s);
  spin(20ms);
  ASSERT_TRUE(service->get(id));
  EXPECT_EQ(service->get(id)->state, cloud::SandboxState::kPaused);
  EXPECT_TRUE(world.frozen);
  EXPECT_TRUE(service->route(id)->paused);
}

TEST_F(LocalSandboxServiceTest, APausedSandboxDoesNotExpire) {
  std::string id = make(10s);
  EXPECT_TRUE(run(service->pause(id, true)));
  clock.advance(1000s);
  spin(20ms);
  EXPECT_TRUE(service->get(id));
  EXPECT_EQ(run(service->pause(id, true)).error().code(), Errc::kConflict);
}

TEST_F(LocalSandboxServiceTest, ConnectNeverShortensARunningLife) {
  std::string id = make(100s);
  auto end = service->get(id)->end_at;
  auto shorter = run(service->connect(id, 10s, std::nullopt));
  ASSERT_TRUE(shorter);
  EXPECT_FALSE(shorter->resumed);
  EXPECT_EQ(shorter->info.end_at, end);
  EXPECT_GT(run(service->connect(id, 1000s, std::nullopt))->info.end_at, end);
}

TEST_F(LocalSandboxServiceTest, ConnectResumesWithAFreshLifeAndFreshConnections) {
  std::string id = make(100s);
  auto before = service->route(id)->connections;
  EXPECT_TRUE(run(service->pause(id, true)));
  EXPECT_TRUE(before->closed());
  clock.advance(500s);
  auto connected = run(service->connect(id, 10s, std::nullopt));
  ASSERT_TRUE(connected);
  EXPECT_TRUE(connected->resumed);
  EXPECT_EQ(connected->info.end_at, clock.now() + 10s);
  EXPECT_FALSE(service->route(id)->connections->closed());
  EXPECT_FALSE(world.frozen);
  EXPECT_EQ(run(service->resume(id, 10s, std::nullopt, std::nullopt)).error().code(),
            Errc::kConflict);
}

TEST_F(LocalSandboxServiceTest, TheDeathOfPidOneEndsItsSandbox) {
  std::string id = make();
  spin(5ms);
  runtime.last->die();
  spin(20ms);
  EXPECT_FALSE(service->get(id));
  EXPECT_EQ(world.alive, 0);
}

TEST_F(LocalSandboxServiceTest, AnIndexRestsBeforeItIsUsedAgain) {
  EXPECT_TRUE(run(service->kill(make())));
  make();
  EXPECT_EQ(slots_made, (std::vector<int>{1, 2}));
}

TEST_F(LocalSandboxServiceTest, Net01WithoutNetworkOptionsNothingIsLoaded) {
  std::string id = make();
  EXPECT_TRUE(open(id));
  EXPECT_TRUE(loaded.empty());
  EXPECT_EQ(service->policy_of("inobody"), nullptr);
}

TEST_F(LocalSandboxServiceTest, Net57APolicyIsInForceBeforeTheSandboxIsKnown) {
  cloud::NewSandbox request;
  request.template_id = "base";
  request.network = lists({"example.com"}, {"0.0.0.0/0"});
  auto made = run(service->create(request));
  ASSERT_TRUE(made);
  EXPECT_FALSE(open(made->sandbox_id));
  EXPECT_EQ(loaded, std::vector<std::string>{"denyOut[0]=0.0.0.0/0"});
  EXPECT_EQ(made->network->allow_out->at(0), "example.com");
  request.network.reset();
  request.allow_internet_access = false;
  made = run(service->create(request));
  ASSERT_TRUE(made);
  EXPECT_FALSE(open(made->sandbox_id));
  EXPECT_EQ(loaded.back(), "allowInternetAccess=false");
}

TEST_F(LocalSandboxServiceTest, SlowAgentsAreToldTheClockAtTheSameTime) {
  for (int i = 0; i < 10; ++i) make();
  world.answering_takes = 200ms;
  fakeapi::envd::ClockSetting setting;
  setting.offset_ms = 60000;
  auto started = std::chrono::steady_clock::now();
  int told = world.clock_messages;
  run(service->clock_changed(setting));
  EXPECT_EQ(world.clock_messages, told + 10);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 1500ms) << "not 10 times 200 ms";
  world.answering_takes = {};
}

TEST_F(LocalSandboxServiceTest, APolicyThatCannotBeLoadedRefusesTheSandbox) {
  failing = "load";
  cloud::NewSandbox request;
  request.template_id = "base";
  request.network = lists({}, {"8.8.8.8"});
  EXPECT_FALSE(run(service->create(request)));
  EXPECT_EQ(service->size(), 0U);
  request.network = lists({}, {"example.com"});
  auto refused = run(service->create(request));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "invalid denied CIDR example.com");
}

TEST_F(LocalSandboxServiceTest, Net58SetNetworkReplacesThePolicyWhole) {
  std::string id = make();
  ASSERT_TRUE(run(service->set_network(id, lists({}, {"1.1.1.1"}), false)));
  EXPECT_FALSE(open(id));
  EXPECT_EQ(service->get(id)->allow_internet_access, false);
  ASSERT_TRUE(run(service->set_network(id, cloud::NetworkOptions(), std::nullopt)));
  EXPECT_TRUE(open(id));
  EXPECT_FALSE(service->get(id)->allow_internet_access);
  EXPECT_FALSE(service->get(id)->network->deny_out);
  EXPECT_EQ(loaded, (std::vector<std::string>{"allowInternetAccess=false", "open"}));
  EXPECT_EQ(changed, (std::vector<std::string>{id, id}));
}

TEST_F(LocalSandboxServiceTest, HeaderRulesFollowWhatTheNetworkOptionsSay) {
  auto rules = [](const char* host, cloud::StringMap headers) {
    cloud::NetworkOptions options;
    options.rules = {{host, {cloud::NetworkRule{cloud::NetworkTransform{std::move(headers)}}}}};
    return options;
  };
  cloud::NewSandbox request;
  request.template_id = "base";
  request.network = rules("A.com", {{"X", "one"}});
  auto made = run(service->create(request));
  ASSERT_TRUE(made);
  const std::string id = made->sandbox_id;
  ASSERT_TRUE(service->rules_of(id));
  EXPECT_EQ(service->rules_of(id)->of("a.com", 443, true).set.front().second, "one");
  ASSERT_TRUE(run(service->pause(id, true)));
  ASSERT_TRUE(run(service->connect(id, 60s, lists({}, {"1.1.1.1"}))));
  EXPECT_TRUE(service->rules_of(id)) << "what a connect does not name stays";
  ASSERT_TRUE(run(service->connect(id, 60s, rules("b.com:7463", {{"X", "two"}}))));
  EXPECT_FALSE(service->rules_of(id)->concern("a.com", 443, true));
  EXPECT_TRUE(service->rules_of(id)->concern("b.com", 7463, true));
  EXPECT_FALSE(open(id));
  ASSERT_TRUE(run(service->set_network(id, cloud::NetworkOptions(), std::nullopt)));
  EXPECT_EQ(service->rules_of(id), nullptr);
  ASSERT_TRUE(run(service->set_network(id, rules("a.com", {}), std::nullopt)));
  EXPECT_EQ(service->rules_of(id), nullptr) << "without a header there is nothing to look for";
  EXPECT_EQ(service->rules_of("inobody"), nullptr);
}

TEST_F(LocalSandboxServiceTest, AChangeOfNamesOnlyDoesNotTouchTheKernel) {
  std::string id = make();
  ASSERT_TRUE(run(service->set_network(id, lists({"a.com"}, {"0.0.0.0/0"}), std::nullopt)));
  ASSERT_TRUE(run(service->set_network(id, lists({"b.com"}, {"0.0.0.0/0"}), std::nullopt)));
  EXPECT_EQ(loaded.size(), 1U);
  EXPECT_EQ(service->policy_of(id)->allowed_domains()[0].rule, "allowOut[0]=b.com");
}

TEST_F(LocalSandboxServiceTest, AFailedChangeClosesTheSandboxUntilOneSucceeds) {
  std::string id = make();
  failing = "load";
  EXPECT_FALSE(run(service->set_network(id, lists({}, {"8.8.8.8"}), std::nullopt)));
  EXPECT_FALSE(open(id)) << "closed, although the new policy would have allowed it";
  EXPECT_EQ(changed, std::vector<std::string>{id});
  EXPECT_EQ(closings, std::vector<std::size_t>{1}) << "the proxy first, then the slot";
  failing.clear();
  ASSERT_TRUE(run(service->set_network(id, lists({}, {"0.0.0.0/0"}), std::nullopt)));
  EXPECT_EQ(loaded.size(), 1U) << "loaded although it looks like what a closed slot has";
  ASSERT_TRUE(run(service->set_network(id, cloud::NetworkOptions(), std::nullopt)));
  EXPECT_TRUE(open(id));
}

TEST_F(LocalSandboxServiceTest, SetNetworkNeedsARunningSandboxAndAValidPolicy) {
  auto missing = run(service->set_network("inobody", cloud::NetworkOptions(), std::nullopt));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Errc::kNotFound);
  std::string id = make();
  auto invalid = run(service->set_network(id, lists({"example.com"}, {}), std::nullopt));
  ASSERT_FALSE(invalid);
  EXPECT_EQ(invalid.error().code(), Errc::kInvalidArgument);
  ASSERT_TRUE(run(service->set_network(id, lists({}, {"1.1.1.1"}), std::nullopt)));
  ASSERT_TRUE(run(service->pause(id, true)));
  auto paused = run(service->set_network(id, cloud::NetworkOptions(), std::nullopt));
  ASSERT_FALSE(paused);
  EXPECT_EQ(paused.error().code(), Errc::kConflict);
  EXPECT_FALSE(open(id)) << "NET-47: the rules outlive a pause";
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_FALSE(open(id));
}

TEST_F(LocalSandboxServiceTest, ThePublicUrlFollowsWhatTheSandboxSaysOfIncomingTraffic) {
  std::string id = make();
  std::shared_ptr<const proxy::IngressRules> rules = service->route(id)->ingress;
  EXPECT_EQ(rules->traffic_token, "");
  cloud::NetworkOptions change;
  change.allow_public_traffic = false;
  change.mask_request_host = "localhost:${PORT}";
  auto connected = run(service->connect(id, 60s, change));
  ASSERT_TRUE(connected);
  std::string token = connected->info.traffic_access_token;
  EXPECT_EQ(token.size(), 64U);
  EXPECT_EQ(rules->traffic_token, token) << "connections that are open read the same rules";
  EXPECT_EQ(rules->host_mask, "localhost:${PORT}");
  EXPECT_TRUE(loaded.empty()) << "what leaves is another matter";

  ASSERT_TRUE(run(service->pause(id, true)));
  cloud::NetworkOptions open_again;
  open_again.allow_public_traffic = true;
  EXPECT_EQ(run(service->resume(id, 60s, std::nullopt, open_again))->traffic_access_token, "");
  EXPECT_EQ(service->route(id)->ingress->traffic_token, "");
  EXPECT_EQ(service->route(id)->ingress->host_mask, "localhost:${PORT}");
  EXPECT_EQ(run(service->connect(id, 60s, change))->info.traffic_access_token, token)
      << "one token for the whole life";
  ASSERT_TRUE(run(service->set_network(id, cloud::NetworkOptions(), std::nullopt)));
  EXPECT_EQ(service->route(id)->ingress->traffic_token, token) << "PUT is about what leaves";
  EXPECT_EQ(service->get(id)->network->allow_public_traffic, false);
}

TEST_F(LocalSandboxServiceTest, APausedSandboxGetsItsNewPolicyBeforeItRuns) {
  std::string id = make();
  ASSERT_TRUE(run(service->pause(id, true)));
  failing = "load";
  EXPECT_FALSE(run(service->connect(id, 60s, lists({}, {"1.1.1.1"}))));
  EXPECT_EQ(service->get(id)->state, cloud::SandboxState::kPaused);
  EXPECT_FALSE(open(id)) << "closed until a change succeeds";
  failing.clear();
  ASSERT_TRUE(run(service->connect(id, 60s, lists({}, {"8.8.8.8"}))));
  EXPECT_TRUE(open(id));
  EXPECT_EQ(service->get(id)->network->deny_out->at(0), "8.8.8.8");
  auto conflict = run(service->resume(id, 60s, std::nullopt, lists({}, {"1.1.1.1"})));
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().code(), Errc::kConflict);
  EXPECT_TRUE(open(id)) << "a refused resume changes nothing";
}

}  // namespace
}  // namespace emulator::sandboxes
