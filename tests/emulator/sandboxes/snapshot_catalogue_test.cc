#include "emulator/sandboxes/snapshot_catalogue.h"

#include <atomic>
#include <fstream>
#include <thread>

#include "emulator/sandboxes/snapshot_garbage.h"
#include "tests/emulator/store/database_fixture.h"

namespace emulator::sandboxes {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using base::Errc;

class SnapshotCatalogueTest : public store::DatabaseTest {
 protected:
  SnapshotCatalogueTest() {
    Template item;
    item.id = "templateid0000000000";
    item.names = {"base"};
    fs::create_directories(lower_ / "usr");
    item.rootfs.root_layers = {lower_};
    item.rootfs.usr_layers = {lower_ / "usr"};
    templates_.add(std::move(item));
    open();
    catalogue_ = start();
  }
  ~SnapshotCatalogueTest() override { tests::run_task(context_, catalogue_->stop()); }

  std::unique_ptr<SnapshotCatalogue> start() {
    return std::make_unique<SnapshotCatalogue>(context_.get_executor(), *database_, templates_,
                                               directory_, "test00");
  }
  TemplatePtr below() { return {std::shared_ptr<void>(), templates_.find("base")}; }

  base::Task<> fill(fs::path directory) {
    fs::create_directory(directory / "root");
    fs::create_directory(directory / "usr");
    std::ofstream(directory / "root" / fill_) << "x";
    co_return base::Result<>();
  }
  static base::Task<> fail(fs::path directory) {
    std::ofstream(directory / "half") << "x";
    co_return base::fail(Errc::kNoSpace, "disk full");
  }
  base::Result<SnapshotCatalogue::Added> add(std::vector<std::string> names,
                                             TemplatePtr on,
                                             bool hidden = false) {
    SnapshotRecord record;
    record.names = std::move(names);
    record.hidden = hidden;
    record.source = "isandbox";
    record.created_at = base::TimePoint(std::chrono::milliseconds(1789984800123));
    record.limits = on->limits;
    auto fill = [this](fs::path directory) { return this->fill(std::move(directory)); };
    return tests::run_task(context_, catalogue_->add(std::move(record), std::move(on), fill));
  }
  base::Result<TemplatePtr> find(const std::string& reference) {
    return tests::run_task(context_, catalogue_->find(reference));
  }
  void collect() {
    tests::run_task(context_, catalogue_->stop());
    tests::run_task(context_, catalogue_->collect());
  }
  std::size_t directories() {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(directory_ / "snapshots")) {
      if (entry.exists()) ++count;
    }
    return count;
  }

  fs::path lower_ = directory_ / "lower";
  TemplateStore templates_;
  std::unique_ptr<SnapshotCatalogue> catalogue_;
  std::string fill_ = "file";  // what the next layer has
};

TEST_F(SnapshotCatalogueTest, AnotherEmulatorOnTheSameFileFindsIt) {
  auto added = add({"snap:default", "snap:v1"}, below());
  ASSERT_TRUE(added) << added.error().message();
  catalogue_ = start();
  for (std::string name : {"snap", "snap:v1", "team/snap", added->record.id.c_str()}) {
    auto found = find(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ((*found)->id, added->record.id);
    fs::path mine = directory_ / "snapshots" / added->record.id;
    EXPECT_EQ((*found)->rootfs.root_layers, (std::vector<fs::path>{mine / "root", lower_}));
    EXPECT_EQ((*found)->rootfs.usr_layers, (std::vector<fs::path>{mine / "usr", lower_ / "usr"}));
    EXPECT_EQ((*found)->created_at, added->record.created_at);
  }
  EXPECT_EQ(find("snap:v2").error().code(), Errc::kNotFound);
  EXPECT_EQ(find("../../etc").error().code(), Errc::kNotFound);
}

TEST_F(SnapshotCatalogueTest, AFailureLeavesNothing) {
  SnapshotRecord record;
  auto added = tests::run_task(context_, catalogue_->add(std::move(record), below(), &fail));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Errc::kNoSpace);
  EXPECT_EQ(directories(), 0U);
  EXPECT_EQ(query("SELECT * FROM snapshots").size(), 0U);
}

TEST_F(SnapshotCatalogueTest, ALayerStaysWhileSomethingIsMadeOfIt) {
  auto one = add({"one:default"}, below());
  auto two = add({"two:default"}, one->item);
  EXPECT_EQ(two->record.layers, (std::vector<std::string>{two->record.id, one->record.id}));
  EXPECT_EQ(two->record.base_template, "templateid0000000000");
  TemplatePtr used = two->item;
  const std::string first = one->record.id;
  const std::string second = two->record.id;
  one = base::fail(Errc::kInternal, "let go");
  two = base::fail(Errc::kInternal, "let go");
  ASSERT_TRUE(tests::run_task(context_, catalogue_->remove(first)));
  collect();
  EXPECT_EQ(directories(), 2U);  // below the second
  ASSERT_TRUE(tests::run_task(context_, catalogue_->remove(second)));
  EXPECT_FALSE(tests::run_task(context_, catalogue_->remove(second)));
  collect();
  EXPECT_EQ(directories(), 2U);  // in use
  used.reset();
  collect();
  EXPECT_EQ(directories(), 0U);
}

TEST_F(SnapshotCatalogueTest, OneEmulatorDoesNotDeleteWhatAnotherUses) {
  auto added = add({}, below(), true);
  auto other = start();
  tests::run_task(context_, other->collect());
  EXPECT_EQ(directories(), 1U);
  EXPECT_TRUE(find(added->record.id));
  added = base::fail(Errc::kInternal, "let go");
  tests::run_task(context_, catalogue_->stop());
  tests::run_task(context_, other->collect());
  tests::run_task(context_, other->stop());
  EXPECT_EQ(directories(), 0U);
  EXPECT_EQ(query("SELECT * FROM snapshots").size(), 0U);
}

TEST_F(SnapshotCatalogueTest, WhatAKilledEmulatorHadNotFinishedIsGarbage) {
  auto added = add({"kept:default"}, below());
  fs::create_directories(directory_ / "snapshots/.new-abc/root");
  fs::create_directories(directory_ / "snapshots/norow/root");
  collect();
  EXPECT_EQ(directories(), 1U);
  EXPECT_TRUE(find("kept"));
}

TEST_F(SnapshotCatalogueTest, GarbageCollectionBesideItTakesOnlyWhatNobodyNamesOrHolds) {
  auto added = add({"kept:default"}, below());
  added = base::fail(Errc::kInternal, "let go");
  auto held = add({"held:default"}, below());
  ASSERT_TRUE(tests::run_task(context_, catalogue_->remove(held->record.id)));
  fs::create_directories(directory_ / "snapshots/norow/root");
  auto would = collect_snapshot_garbage(directory_, true);
  ASSERT_TRUE(would);
  EXPECT_EQ(*would,
            std::vector<std::string>{"directory " + (directory_ / "snapshots/norow").string()});
  EXPECT_EQ(directories(), 3U);
  EXPECT_TRUE(collect_snapshot_garbage(directory_, false));
  EXPECT_EQ(directories(), 2U);
  EXPECT_EQ(collect_snapshot_garbage(directory_ / "nothing", false)->size(), 0U);
}

// Claims what it may, as whoever collects does; and has done with it a little later.
class SnapshotClaimTest : public SnapshotCatalogueTest {
 protected:
  SnapshotClaimTest() {
    auto added = add({"snap:default"}, below());
    id_ = added->record.id;
    added = base::fail(Errc::kInternal, "let go");
    tests::run_task(context_, catalogue_->stop());
    claims_ = layers_.claim({});
    EXPECT_EQ(claims_.size(), 1U);
  }
  asio::awaitable<void> give_back(bool deleted) {
    co_await base::sleep_for(std::chrono::milliseconds(30));
    if (deleted) layers_.discard(layers_.directory(id_));
    claims_.clear();
  }
  base::Result<TemplatePtr> find_meanwhile(bool deleted) {
    base::TaskGroup other(context_.get_executor());
    other.spawn("collector", give_back(deleted));
    auto found = find("snap");
    tests::run_task(context_, other.join());
    return found;
  }

  SnapshotLayers layers_{directory_, "other0"};
  std::string id_;
  std::vector<SnapshotLayers::Claim> claims_;
};

TEST_F(SnapshotClaimTest, WhatACollectorLooksAtIsThereWhenItHasLooked) {
  auto found = find_meanwhile(false);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_TRUE(layers_.is_held(id_));
}

TEST_F(SnapshotClaimTest, WhatACollectorDeletesIsMissing) {
  auto found = find_meanwhile(true);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kUnavailable);
  EXPECT_NE(found.error().message().find("No such file"), std::string::npos)
      << found.error().message();
}

TEST_F(SnapshotClaimTest, APausedSandboxOfAnEarlierEmulatorHoldsItsOwnAllTheSame) {
  Template item;
  item.id = id_;
  item.base_template = "templateid0000000000";
  item.snapshot_layers = {id_};
  std::thread collector([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    claims_.clear();
  });
  TemplatePtr held = catalogue_->hold(std::move(item));
  collector.join();
  EXPECT_TRUE(layers_.is_held(id_));
}

TEST_F(SnapshotCatalogueTest, ADraftIsBegunAlthoughACollectorSeesItBeforeItIsHeld) {
  SnapshotLayers layers(directory_, "test00");
  std::atomic<bool> done = false;
  std::thread collector([&] {
    SnapshotLayers theirs(directory_, "other0");
    while (!done) {
      for (const auto& claim : theirs.claim({})) theirs.discard(theirs.directory(claim.id));
    }
  });
  for (int i = 0; i < 2000; ++i) {
    auto draft = layers.begin(std::to_string(i));
    EXPECT_TRUE(draft) << draft.error().message();
    if (!draft) break;
    EXPECT_TRUE(fs::is_directory(draft->directory));
  }
  done = true;
  collector.join();
}

// The collector reads the rows before it claims: one that is finished in between looks unused.
TEST_F(SnapshotCatalogueTest, ASnapshotThatWasJustTakenCanBeUsedWhileOthersAreTakenAndDropped) {
  const SnapshotCatalogue::Fill filled = [this](fs::path directory) {
    return fill(std::move(directory));
  };
  auto take = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 25; ++i) {
      SnapshotRecord record;
      record.created_at = base::TimePoint(std::chrono::milliseconds(1789984800123));
      auto added = co_await catalogue_->add(std::move(record), below(), filled);
      EXPECT_TRUE(added) << added.error().message();
      if (!added) co_return;
      const std::string id = added->record.id;
      added = base::fail(Errc::kInternal, "let go");
      auto found = co_await catalogue_->find(id);
      EXPECT_TRUE(found) << found.error().message();
    }
  };
  auto drop = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 25; ++i) {
      SnapshotRecord record;
      record.hidden = true;
      auto added = co_await catalogue_->add(std::move(record), below(), filled);
      EXPECT_TRUE(added) << added.error().message();
    }
  };
  base::TaskGroup customers(context_.get_executor());
  for (int i = 0; i < 4; ++i) {
    customers.spawn("takes", take());
    customers.spawn("drops", drop());
  }
  tests::run_task(context_, customers.join());
}

TEST_F(SnapshotCatalogueTest, ANameMovesToTheNewest) {
  auto one = add({"snap:default"}, below());
  auto two = add({"snap:default"}, below());
  EXPECT_EQ((*find("snap"))->id, two->record.id);
  EXPECT_EQ(tests::run_task(context_, catalogue_->list())->size(), 1U);
  // The first is still what a sandbox is made of.
  EXPECT_TRUE(find(one->record.id));
  const std::string first = one->record.id;
  one = base::fail(Errc::kInternal, "let go");
  collect();
  EXPECT_EQ(find(first).error().code(), Errc::kNotFound);
}

TEST_F(SnapshotCatalogueTest, AStackThatIsTooHighBecomesOneLayer) {
  TemplatePtr on = below();
  std::vector<std::string> ids;
  for (std::size_t depth = 0; depth < 2 * kMostLayers + 3; ++depth) {
    fill_ = "file-" + std::to_string(depth);
    auto added = add({}, on);
    ASSERT_TRUE(added) << depth << " " << added.error().message();
    on = added->item;
    ids.push_back(added->record.id);
    EXPECT_EQ(on->snapshot_layers.size(), depth % kMostLayers + 1);
    EXPECT_EQ(on->rootfs.root_layers.size(), depth % kMostLayers + 2);
  }
  EXPECT_EQ(directories(), ids.size());
  // Everything of those below is in it, and they are not needed for it.
  fs::path merged = directory_ / "snapshots" / ids[2 * kMostLayers] / "root";
  for (std::size_t depth = 0; depth <= 2 * kMostLayers; ++depth) {
    EXPECT_TRUE(fs::exists(merged / ("file-" + std::to_string(depth)))) << depth;
  }
  for (std::size_t depth = 0; depth < 2 * kMostLayers; ++depth) {
    EXPECT_TRUE(tests::run_task(context_, catalogue_->remove(ids[depth])));
  }
  collect();
  EXPECT_EQ(directories(), 3U);
  EXPECT_TRUE(find(ids.back()));
}

TEST_F(SnapshotCatalogueTest, MissingFilesAreSaidToBe) {
  auto added = add({"snap:default"}, below());
  added = base::fail(Errc::kInternal, "let go");
  fs::remove_all(directory_ / "snapshots");
  auto found = find("snap");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Errc::kUnavailable);
}

TEST(SnapshotNames, AreLettersDigitsAndFewSigns) {
  EXPECT_EQ(full_name("snap").value_or(""), "snap:default");
  EXPECT_EQ(full_name("team-1/my_snap:v1.2").value_or(""), "my_snap:v1.2");
  for (std::string_view bad : {"", ":v", "a:", "a b", "a/b/c", "../a", "/a", "a:b:c", "\xff"}) {
    EXPECT_FALSE(full_name(bad)) << bad;
  }
  EXPECT_FALSE(full_name(std::string(200, 'x')));
}

}  // namespace
}  // namespace emulator::sandboxes
