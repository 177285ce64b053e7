// What a sandbox is told of its secrets, what its requests get, and what both become when a secret
// or the sandbox changes.
#include "tests/emulator/sandboxes/restart_fixture.h"

namespace emulator::sandboxes {
namespace {

namespace cloud = fakeapi::cloud;
using base::Errc;
using namespace std::chrono_literals;
using Pairs = std::vector<std::pair<std::string, std::string>>;

class SandboxSecretsTest : public RestartTest {
 protected:
  cloud::SecretInfo secret(const std::string& value,
                           std::vector<std::string> hosts = {"a.test"},
                           std::string name = "key") {
    cloud::NewSecret wanted;
    wanted.name = std::move(name);
    wanted.value = value;
    wanted.hosts = std::move(hosts);
    auto made = run(secrets->create(std::move(wanted)));
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }
  void update(const std::string& value, std::vector<std::string> hosts = {"a.test"}) {
    cloud::SecretChange change;
    change.value = value;
    change.hosts = std::move(hosts);
    EXPECT_TRUE(run(secrets->update({"key", false}, std::move(change))));
  }
  base::Result<cloud::SandboxInfo> make_with(cloud::StringMap names) {
    cloud::NewSandbox request;
    request.template_id = "base";
    request.env_vars = {{"PLAIN", "p"}};
    request.secrets = std::move(names);
    auto made = run(service->create(std::move(request)));
    if (made) {
      std::filesystem::create_directories(directory / "sandboxes" / "any" / made->sandbox_id /
                                          "upper");
    }
    return made;
  }
  void pause_and_resume(const std::string& id) {
    ASSERT_TRUE(run(service->pause(id, true)));
    ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  }
  static cloud::ResetRequest with_policy(std::string denied) {
    cloud::ResetRequest request;
    request.network.emplace().deny_out.emplace().push_back(std::move(denied));
    return request;
  }
  std::string with_rule(std::string value) {
    cloud::NewSandbox request;
    request.template_id = "base";
    cloud::NetworkTransform transform;
    transform.headers = cloud::StringMap{{"X", std::move(value)}};
    request.network.emplace().rules.emplace()["a.test"].push_back({std::move(transform)});
    auto made = run(service->create(std::move(request)));
    EXPECT_TRUE(made) << made.error().message();
    return made->sandbox_id;
  }
  intercept::Edits edits(const std::string& id, const char* host = "a.test", bool tls = true) {
    auto rules = service->rules_of(id);
    return rules ? rules->of(host, 443, tls) : intercept::Edits();
  }
  Pairs swaps(const std::string& id, const char* host = "a.test") { return edits(id, host).swap; }
};

TEST_F(SandboxSecretsTest, TheAgentIsToldThePlaceholderAndTheProxyTheValue) {
  auto info = secret("sk-1");
  auto made = make_with({{"TOKEN", "key"}});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_NE(world.last_message.find(info.placeholder), std::string::npos);
  EXPECT_NE(world.last_message.find("PLAIN"), std::string::npos);
  EXPECT_EQ(world.last_message.find("sk-1"), std::string::npos);
  EXPECT_EQ(swaps(made->sandbox_id), (Pairs{{info.placeholder, "sk-1"}}));
  EXPECT_TRUE(swaps(made->sandbox_id, "b.test").empty());
  EXPECT_TRUE(edits(made->sandbox_id, "a.test", false).empty()) << "not over plain http";
  EXPECT_EQ(service->rules_of(make()), nullptr);
}

TEST_F(SandboxSecretsTest, AnUnknownOneMakesNothing) {
  secret("sk-1");
  int before = world.created;
  auto refused = make_with({{"A", "key"}, {"B", "nobody"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(refused.error().message(), "secret 'nobody' not found");
  EXPECT_EQ(world.created, before);
  EXPECT_EQ(service->size(), 0U);
}

TEST_F(SandboxSecretsTest, AChangeReachesARunningOneWhenItIsResumed) {
  auto info = secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  const Pairs first{{info.placeholder, "sk-1"}};
  update("sk-2", {"*.b.test"});
  EXPECT_EQ(swaps(id), first);
  EXPECT_TRUE(swaps(id, "x.b.test").empty());
  pause_and_resume(id);
  EXPECT_TRUE(swaps(id).empty()) << "its hosts are a part of a version";
  EXPECT_EQ(swaps(id, "x.b.test"), (Pairs{{info.placeholder, "sk-2"}}));
}

TEST_F(SandboxSecretsTest, ADeletionReachesARunningOneWhenItIsResumed) {
  auto info = secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  const Pairs first{{info.placeholder, "sk-1"}};
  ASSERT_TRUE(run(secrets->remove({"key", false})));
  EXPECT_EQ(swaps(id), first);
  secret("sk-3");
  EXPECT_EQ(swaps(id), first);
  pause_and_resume(id);
  EXPECT_EQ(service->rules_of(id), nullptr) << "another one of the same name is not what it knows";
}

TEST_F(SandboxSecretsTest, AChangeOfTheNetworkBringsNoNewVersion) {
  auto info = secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  const Pairs first{{info.placeholder, "sk-1"}};
  update("sk-2");
  cloud::NetworkOptions network;
  network.allow_public_traffic = false;
  ASSERT_TRUE(run(service->connect(id, 60s, network)));
  EXPECT_EQ(swaps(id), first);
  cloud::NetworkTransform transform;
  transform.headers = cloud::StringMap{{"X", "${e2b.secrets.key}"}};
  network.rules.emplace()["a.test"].push_back({std::move(transform)});
  ASSERT_TRUE(run(service->set_network(id, network, std::nullopt)));
  EXPECT_EQ(swaps(id), first);
  EXPECT_EQ(edits(id).set, (Pairs{{"X", "sk-2"}})) << "a rule is filled with what is current";
  update("sk-3");
  EXPECT_EQ(swaps(id), first);
  EXPECT_EQ(edits(id).set, (Pairs{{"X", "sk-3"}}));
}

TEST_F(SandboxSecretsTest, AResetTakesTheNewestAndARefusedOneNothing) {
  secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  const Pairs first = swaps(id);
  ASSERT_TRUE(run(secrets->remove({"key", false})));
  auto second = secret("sk-2");
  failing = true;
  EXPECT_FALSE(run(service->reset(id, with_policy("9.9.9.9"))));
  failing = false;
  EXPECT_EQ(swaps(id), first) << "its processes run on";
  ASSERT_TRUE(run(service->reset(id, {})));
  EXPECT_EQ(swaps(id), (Pairs{{second.placeholder, "sk-2"}}));
}

TEST_F(SandboxSecretsTest, APausedOneOutlivesTheEmulatorWithItsSecret) {
  auto info = secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  ASSERT_TRUE(run(service->pause(id, true)));
  auto rows = database->query_now("SELECT body FROM paused_sandboxes");
  EXPECT_EQ(store::text(rows->front().front()).find("sk-1"), std::string::npos);
  update("sk-2");
  end();
  begin("second");
  world.last_message.clear();
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_NE(world.last_message.find(info.placeholder), std::string::npos);
  EXPECT_EQ(swaps(id), (Pairs{{info.placeholder, "sk-2"}}));
}

TEST_F(SandboxSecretsTest, WhatStartsAnewHasWhoeverHasTheNameByThen) {
  secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  ASSERT_TRUE(run(service->pause(id, true)));
  ASSERT_TRUE(run(secrets->remove({"key", false})));
  auto second = secret("sk-2");
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_TRUE(swaps(id).empty()) << "its processes have the old placeholder";
  ASSERT_TRUE(run(service->pause(id, false)));
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_NE(world.last_message.find(second.placeholder), std::string::npos);
  EXPECT_EQ(swaps(id), (Pairs{{second.placeholder, "sk-2"}}));
}

TEST_F(SandboxSecretsTest, AnotherEmulatorsUpdateIsKnownAfterAResume) {
  auto info = secret("sk-1");
  std::string id = make_with({{"TOKEN", "key"}})->sandbox_id;
  ASSERT_TRUE(run(service->pause(id, true)));
  auto theirs = store::Database::open(directory / "sandlot.db");
  ASSERT_TRUE(theirs);
  auto other = secrets::SecretStore::open(**theirs, clock);
  ASSERT_TRUE(other);
  ASSERT_TRUE(run((*other)->update({"key", false}, {"sk-2", {}, {}, {}})));
  EXPECT_EQ(swaps(id), (Pairs{{info.placeholder, "sk-1"}}));
  ASSERT_TRUE(run(service->connect(id, 60s, std::nullopt)));
  EXPECT_EQ(swaps(id), (Pairs{{info.placeholder, "sk-2"}}));
}

TEST_F(SandboxSecretsTest, AHeaderRuleIsFilledWithWhatItNames) {
  secret("sk-1", {}, "plain");
  std::string id = with_rule("Bearer ${e2b.secrets.PLAIN}!");
  EXPECT_EQ(edits(id).set, (Pairs{{"X", "Bearer sk-1!"}}));
  EXPECT_EQ(service->get(id)->network->rules->at("a.test")[0].transform->headers->at("X"),
            "Bearer ${e2b.secrets.PLAIN}!");
  ASSERT_TRUE(run(secrets->update({"plain", false}, {"sk-2", {}, {}, {}})));
  EXPECT_EQ(edits(id).set, (Pairs{{"X", "Bearer sk-2!"}}));
  ASSERT_TRUE(run(secrets->remove({"plain", false})));
  EXPECT_TRUE(edits(id).set.empty());
  EXPECT_EQ(edits(id).problem, "no secret 'plain' for this host");
}

TEST_F(SandboxSecretsTest, AHeaderRuleGetsNoSecretOfOtherHosts) {
  secret("sk-1", {"b.test"});
  EXPECT_EQ(edits(with_rule("${e2b.secrets.key}")).problem, "no secret 'key' for this host");
  update("sk-1", {"*.test"});
  EXPECT_EQ(edits(with_rule("${e2b.secrets.key}")).set, (Pairs{{"X", "sk-1"}}));
}

}  // namespace
}  // namespace emulator::sandboxes
