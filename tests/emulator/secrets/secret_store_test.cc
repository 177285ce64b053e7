// Secrets outlive the emulator, are changed whole, and are told to whoever uses them.
#include "emulator/secrets/secret_store.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "emulator/secrets/secret_record.h"
#include "tests/emulator/store/database_fixture.h"

namespace emulator::secrets {
namespace {

namespace cloud = fakeapi::cloud;
using base::Errc;
using List = std::vector<std::string>;

class FixedClock final : public base::Clock {
 public:
  base::TimePoint now() const override { return time; }
  boost::asio::awaitable<void> sleep_until(base::TimePoint) override { co_return; }
  base::TimePoint time{std::chrono::milliseconds(1789984800123)};
};

class SecretStoreTest : public store::DatabaseTest {
 protected:
  SecretStoreTest() { begin(); }
  ~SecretStoreTest() override { secrets_.reset(); }

  // As after a start.
  void begin() {
    secrets_.reset();
    open();
    auto opened = SecretStore::open(*database_, clock_);
    ASSERT_TRUE(opened) << opened.error().message();
    secrets_ = std::move(*opened);
    secrets_->on_change([this] { ++changes_; });
  }
  template <class T>
  T run(boost::asio::awaitable<T> task) {
    return tests::run_task(context_, std::move(task));
  }
  static cloud::NewSecret wanted(std::string name = "key") {
    cloud::NewSecret secret;
    secret.name = std::move(name);
    secret.value = "sk-live-1";
    secret.hosts = {"api.example.com", "*.b.test"};
    secret.description = "for tests";
    secret.metadata = {{"team", "a"}};
    return secret;
  }

  FixedClock clock_;
  std::unique_ptr<SecretStore> secrets_;
  int changes_ = 0;
};

TEST_F(SecretStoreTest, WhatWasAcknowledgedIsThereAfterTheEnd) {
  auto made = run(secrets_->create(wanted()));
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->placeholder.substr(0, 14), "novita_secret_");
  EXPECT_EQ(made->placeholder.size(), 14U + 32U);
  EXPECT_EQ(made->placeholder.find_first_not_of("0123456789abcdef", 14), std::string::npos);
  EXPECT_EQ(made->secret_id.size(), 30U);
  begin();
  auto secret = secrets_->find("key");
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->value, "sk-live-1");
  EXPECT_EQ(secret->info.placeholder, made->placeholder);
  EXPECT_EQ(secret->info.hosts, (List{"api.example.com", "*.b.test"}));
  EXPECT_EQ(secret->info.description, "for tests");
  EXPECT_EQ(secret->info.metadata, (cloud::SecretMetadata{{"team", "a"}}));
  EXPECT_EQ(secret->info.created_at, clock_.now());
}

TEST_F(SecretStoreTest, ANameIsTakenOnce) {
  ASSERT_TRUE(run(secrets_->create(wanted())));
  auto again = wanted();
  again.value = "sk-other";
  auto refused = run(secrets_->create(again));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kAlreadyExists);
  EXPECT_EQ(refused.error().message(), "secret 'key' already exists");
  EXPECT_EQ(secrets_->find("key")->value, "sk-live-1");
  EXPECT_TRUE(run(secrets_->create(wanted("Key")))) << "names have a case";
}

TEST_F(SecretStoreTest, AnUpdateIsANewVersionUnderTheSamePlaceholder) {
  auto made = run(secrets_->create(wanted()));
  cloud::SecretChange change;
  change.value = "sk-live-2";
  auto updated = run(secrets_->update({"key", false}, change));
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->version, 2);
  EXPECT_EQ(updated->placeholder, made->placeholder);
  EXPECT_EQ(updated->hosts, made->hosts) << "what is absent stays";
  EXPECT_EQ(updated->description, "for tests");
  EXPECT_GT(updated->updated_at, made->updated_at) << "though the clock stands still";
  change.hosts = List{"c.test"};
  change.description.emplace();
  change.metadata.emplace();
  updated = run(secrets_->update({made->secret_id, true}, change));
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->version, 3);
  begin();
  auto secret = secrets_->find("key");
  EXPECT_EQ(secret->value, "sk-live-2");
  EXPECT_EQ(secret->info.hosts, (List{"c.test"}));
  EXPECT_FALSE(secret->info.description);
  EXPECT_TRUE(secret->info.metadata.empty());
  EXPECT_EQ(secret->info.created_at, made->created_at);
}

TEST_F(SecretStoreTest, ADeletedOneIsGoneAndItsNameIsFree) {
  auto made = run(secrets_->create(wanted()));
  auto removed = run(secrets_->remove({"key", false}));
  ASSERT_TRUE(removed);
  EXPECT_EQ(*removed, "key");
  EXPECT_FALSE(secrets_->find("key"));
  for (const cloud::SecretKey& key : {cloud::SecretKey{"key", false}, {made->secret_id, true}}) {
    EXPECT_EQ(run(secrets_->get(key)).error().code(), Errc::kNotFound);
    EXPECT_EQ(run(secrets_->update(key, {"x", {}, {}, {}})).error().code(), Errc::kNotFound);
    EXPECT_EQ(run(secrets_->remove(key)).error().code(), Errc::kNotFound);
  }
  auto again = run(secrets_->create(wanted()));
  ASSERT_TRUE(again);
  EXPECT_NE(again->placeholder, made->placeholder);
  EXPECT_EQ(again->version, 1);
}

TEST_F(SecretStoreTest, TheyAreListedInTheOrderOfCreation) {
  for (const char* name : {"c", "a", "b"}) {
    ASSERT_TRUE(run(secrets_->create(wanted(name))));
    clock_.time += std::chrono::seconds(1);
  }
  auto all = run(secrets_->list());
  ASSERT_TRUE(all);
  List names;
  for (const auto& info : *all) names.push_back(info.name);
  EXPECT_EQ(names, (List{"c", "a", "b"}));
}

TEST_F(SecretStoreTest, WhoUsesThemIsToldOfChangesAndOfNothingElse) {
  run(secrets_->create(wanted()));
  EXPECT_EQ(changes_, 1);
  run(secrets_->get({"key", false}));
  run(secrets_->list());
  run(secrets_->refresh());
  EXPECT_EQ(changes_, 1);
  run(secrets_->update({"key", false}, {"x", {}, {}, {}}));
  EXPECT_EQ(changes_, 2);
  run(secrets_->remove({"key", false}));
  EXPECT_EQ(changes_, 3);
}

TEST_F(SecretStoreTest, AnotherEmulatorsChangesAreSeen) {
  run(secrets_->create(wanted()));
  auto second = store::Database::open(file());
  ASSERT_TRUE(second);
  auto other = SecretStore::open(**second, clock_);
  ASSERT_TRUE(other);
  clock_.time += std::chrono::seconds(1);
  ASSERT_TRUE(run((*other)->update({"key", false}, {"theirs", {}, {}, {}})));
  ASSERT_TRUE(run(secrets_->refresh()));
  EXPECT_EQ(secrets_->find("key")->value, "theirs");
  EXPECT_EQ(changes_, 2);
  ASSERT_TRUE(run(secrets_->update({"key", false}, {"ours", {}, {}, {}})));
  EXPECT_EQ(run((*other)->get({"key", false}))->version, 3);
  ASSERT_TRUE(run((*other)->remove({"key", false})));
  EXPECT_EQ(run(secrets_->get({"key", false})).error().code(), Errc::kNotFound);
}

TEST_F(SecretStoreTest, AtRestNobodyElseMayRead) {
  run(secrets_->create(wanted()));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status {};
    ASSERT_EQ(::stat((file().string() + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << suffix;
  }
}

TEST_F(SecretStoreTest, ADamagedRowIsInNobodysWayAndCanBeRemoved) {
  run(secrets_->create(wanted()));
  const std::string kDamaged = R"({"value":"sk-live-9")";
  ASSERT_TRUE(add_secret("broken", kDamaged));
  EXPECT_EQ(secret_of("broken", kDamaged, 1).error().message(), "secret 'broken' cannot be read");
  begin();
  EXPECT_TRUE(secrets_->find("key"));
  EXPECT_FALSE(secrets_->find("broken"));
  EXPECT_EQ(run(secrets_->create(wanted("broken"))).error().code(), Errc::kAlreadyExists);
  EXPECT_TRUE(run(secrets_->remove({"broken", false})));
  EXPECT_TRUE(run(secrets_->create(wanted("broken"))));
}

}  // namespace
}  // namespace emulator::secrets
