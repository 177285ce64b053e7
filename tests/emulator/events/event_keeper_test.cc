// Events outlive the emulator that wrote them, whatever became of it, and are found again.
#include "emulator/events/event_keeper.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/support/run_task.h"

#include <stdlib.h>

namespace emulator::events {
namespace {

namespace cloud = fakeapi::cloud;
namespace fs = std::filesystem;

class Events : public ::testing::Test {
 protected:
  Events() {
    std::string pattern = "/tmp/sandlot-events-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  ~Events() override {
    close();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  void open(const std::string& instance = "one") {
    auto database = store::Database::open(directory_ / "sandlot.db");
    ASSERT_TRUE(database) << database.error().message();
    database_ = std::move(*database);
    auto keeper =
        EventKeeper::open(context_.get_executor(), *database_, directory_ / "events", instance);
    ASSERT_TRUE(keeper) << keeper.error().message();
    keeper_ = std::move(*keeper);
  }
  void close() {
    if (keeper_) tests::run_task(context_, keeper_->stop());
    keeper_.reset();
    database_.reset();
  }
  void record(const std::string& sandbox, const std::string& name, int status = 200) {
    cloud::SandboxEvent event;
    event.time = clock_.now();
    event.sandbox_id = sandbox;
    event.template_id = "base";
    event.name = name;
    event.status_code = status;
    keeper_->record(event);
  }
  cloud::EventPage find(const std::string& query = "limit=100") {
    auto parsed = cloud::parse_event_query(query, clock_.now() + std::chrono::seconds(1));
    EXPECT_TRUE(parsed);
    auto page = tests::run_task(context_, keeper_->find(*parsed));
    EXPECT_TRUE(page);
    return page.value_or(cloud::EventPage());
  }
  // A process that does this and is killed without a chance to tidy up.
  void killed(const std::function<void()>& work) {
    pid_t pid = ::fork();
    if (pid == 0) {
      work();
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }

  fs::path directory_;
  boost::asio::io_context context_;
  base::SystemClock clock_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<EventKeeper> keeper_;
};

TEST_F(Events, AreFoundAtOnceAndAfterARestart) {
  open();
  for (int i = 0; i < 1200; ++i) record("i" + std::to_string(i), "create");
  EXPECT_EQ(find().total, 1200U);
  EXPECT_EQ(find().items.size(), 100U);
  close();
  EXPECT_TRUE(fs::is_empty(directory_ / "events"));
  open("two");
  EXPECT_EQ(find("sandboxID=i119").total, 11U);
  EXPECT_EQ(find("sandboxID=%25").total, 0U) << "no pattern";
  EXPECT_EQ(find("templateID=as&orderAsc=true").items.front().sandbox_id, "i0");
  EXPECT_EQ(find("events=pause,delete").total, 0U);
  EXPECT_EQ(find("events=crea").total, 0U) << "whole names";
}

TEST_F(Events, SurviveAKillBeforeTheyWereWritten) {
  killed([&] {
    open("dead");
    record("i1", "create");
    record("i1", "delete", 204);
  });
  open("next");
  EXPECT_EQ(find().total, 2U);
  EXPECT_FALSE(fs::exists(directory_ / "events" / "dead.jsonl"));
}

TEST_F(Events, AreThereOnceAfterAKillBetweenTheDatabaseAndTheFile) {
  killed([&] {
    open("dead");
    record("i1", "create");
    fs::copy_file(directory_ / "events" / "dead.jsonl", directory_ / "events" / "copy.jsonl");
    (void)find();
  });
  open("next");
  EXPECT_EQ(find("events=create").total, 1U);
}

TEST_F(Events, OfSandboxesThatWentWithTheirEmulatorEndWithTheNextOne) {
  killed([&] {
    open("dead");
    for (const char* id : {"iran", "ipaused", "iended"}) record(id, "create", 201);
    record("ipaused", "pause", 204);
    record("iended", "delete", 204);
    auto row = tests::run_task(
        context_, database_->exec("INSERT INTO paused_sandboxes VALUES ('ipaused', 'dead', "
                                  "'files', '{}', 1)"));
    if (!row) ::_exit(1);
  });
  open("next");
  auto ends = find("events=delete");
  ASSERT_EQ(ends.total, 2U);
  EXPECT_EQ(ends.items.front().sandbox_id, "iran");
  EXPECT_EQ(ends.items.front().template_id, "base");
  EXPECT_FALSE(ends.items.front().success);
  EXPECT_EQ(ends.items.front().status_code, 500);
  EXPECT_EQ(ends.items.front().error, "the emulator was killed");
  close();
  killed([&] { open("again"); });
  open("last");
  EXPECT_EQ(find("events=delete").total, 2U) << "once";
}

TEST_F(Events, WithALivingNeighbourNobodyIsTakenForDead) {
  killed([&] {
    open("dead");
    record("i1", "create");
  });
  std::string path = directory_ / "events" / "neighbour.jsonl";
  base::UniqueFd neighbour(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(neighbour.get(), LOCK_EX | LOCK_NB), 0);
  open("next");
  EXPECT_EQ(find().total, 1U);
}

TEST_F(Events, OfALivingNeighbourAreLeftToIt) {
  open("one");
  record("i1", "create");
  // Another process, because a lock is its owner's own.
  killed([&] {
    PendingFile::Others others;
    auto file = PendingFile::open(directory_ / "events", "two", others);
    if (!file || !others.left.empty() || !others.alive) ::_exit(1);
  });
  EXPECT_EQ(find().total, 1U);
}

TEST_F(Events, AHalfWrittenLineIsNone) {
  fs::create_directories(directory_ / "events");
  std::string lines = R"({"time":1,"sandbox":"i1","name":"create","status":201,"success":true})";
  ASSERT_TRUE(base::write_file(
      directory_ / "events" / "dead.jsonl",
      "not json\n[]\n{\"time\":\"x\",\"success\":3}\n" + lines.substr(0, 30), 0600));
  open();
  EXPECT_TRUE(fs::is_empty(directory_ / "events") ||
              fs::exists(directory_ / "events" / "one.jsonl"));
  EXPECT_EQ(find().total, 0U) << "and those of 1970 are too old";
}

TEST_F(Events, OlderThanSixtyDaysAreForgotten) {
  open();
  cloud::SandboxEvent old;
  old.time = clock_.now() - std::chrono::hours(24 * 61);
  old.sandbox_id = "old";
  old.name = "create";
  keeper_->record(old);
  record("new", "create");
  (void)find();
  record("newer", "create");
  (void)find();
  auto rows = tests::run_task(context_, database_->query("SELECT sandbox_id FROM events"));
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 2U);
}

}  // namespace
}  // namespace emulator::events
