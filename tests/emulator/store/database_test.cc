// The database file: values come back as they went in, all or nothing, and no other file is taken
// for one.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "emulator/store/schema.h"
#include "tests/emulator/store/database_fixture.h"

#include <sqlite3.h>

namespace emulator::store {
namespace {

using base::Errc;

TEST_F(DatabaseTest, EveryKindOfValueComesBackAsItWentIn) {
  open();
  std::string odd("a\0\xff'\"", 5);
  ASSERT_TRUE(exec("INSERT INTO secrets VALUES (?, ?, ?)", values("n\u00e9", Blob{odd}, -7)));
  ASSERT_TRUE(exec("INSERT INTO secrets VALUES (?, ?, ?)", values("empty", Blob{}, 0)));
  auto rows = query("SELECT name, body, updated_at, NULL FROM secrets ORDER BY updated_at");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], (Row{std::string("n\u00e9"), Blob{odd}, std::int64_t{-7}, Value()}));
  EXPECT_EQ(rows[1][1], Value(Blob{}));
  EXPECT_EQ(integer(rows[0][3]), 0);
  EXPECT_EQ(text(rows[0][2]), "");
}

TEST_F(DatabaseTest, ChangesTellHowManyRowsAndWhichNumberTheLastOneGot) {
  open();
  const char* insert = "INSERT INTO events (sandbox_id, name, recorded_at) VALUES (?, ?, ?)";
  EXPECT_EQ(exec(insert, values("a", "create", 1))->last_id, 1);
  EXPECT_EQ(exec(insert, values("b", "create", 2))->last_id, 2);
  EXPECT_EQ(exec("UPDATE events SET state = ?", values("gone"))->rows, 2);
  EXPECT_EQ(exec("DELETE FROM events WHERE sandbox_id = ?", values("nobody"))->rows, 0);
}

TEST_F(DatabaseTest, ATransactionIsAllOrNothing) {
  open();
  const char* insert = "INSERT INTO secrets VALUES (?, ?, 0)";
  std::vector<Statement> both = {{insert, values("a", Blob{})}, {insert, values("b", Blob{})}};
  ASSERT_TRUE(tests::run_task(context_, database_->transaction(both)));
  std::vector<Statement> clash = {{insert, values("c", Blob{})}, {insert, values("a", Blob{})}};
  auto refused = tests::run_task(context_, database_->transaction(clash));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kAlreadyExists);
  EXPECT_EQ(query("SELECT name FROM secrets").size(), 2U);
  EXPECT_TRUE(add_secret("d", "")) << "the transaction has ended";
}

TEST_F(DatabaseTest, BadSqlAndWrongParametersAreErrors) {
  open();
  EXPECT_EQ(exec("INSERT INTO nothing VALUES (1)").error().code(), Errc::kInternal);
  EXPECT_EQ(exec("DELETE FROM secrets WHERE name = ?").error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(exec("").error().code(), Errc::kInvalidArgument);
  EXPECT_FALSE(exec("INSERT INTO secrets VALUES (?, ?, ?)", values("a", "text", 1)))
      << "a column has one type";
}

TEST_F(DatabaseTest, TheFileIsForItsOwnerOnly) {
  open();
  ASSERT_TRUE(add_secret("a", "b"));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(::stat((file().string() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600) << suffix;
  }
}

TEST_F(DatabaseTest, WhatWasCommittedIsThereAfterOpeningAgain) {
  open();
  ASSERT_TRUE(add_secret("a", "b"));
  open();
  EXPECT_EQ(query("SELECT name FROM secrets").size(), 1U);
}

TEST_F(DatabaseTest, TwoEmulatorsMayShareTheFile) {
  open();
  auto second = Database::open(file());
  ASSERT_TRUE(second);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(add_secret("first" + std::to_string(i), ""));
    auto other = (*second)->exec("INSERT INTO secrets VALUES (?, ?, 0)",
                                 values("second" + std::to_string(i), Blob{}));
    ASSERT_TRUE(tests::run_task(context_, std::move(other)));
  }
  EXPECT_EQ(query("SELECT name FROM secrets").size(), 40U);
}

// With SQLite itself: a file of another emulator, or a broken one.
void with_sqlite(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(::sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(::sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  ::sqlite3_close(handle);
}

TEST_F(DatabaseTest, AFileOfANewerEmulatorIsRefusedAndLeftAsItIs) {
  open();
  database_.reset();
  with_sqlite(file(), "PRAGMA user_version = 900");
  auto refused = Database::open(file());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("newer Sandlot (version 900"), std::string::npos)
      << refused.error().message();
}

TEST_F(DatabaseTest, AnOlderFileIsBroughtUpToDateAndKeepsItsRows) {
  with_sqlite(file(), std::string(schema_steps()[0]) +
                          "INSERT INTO snapshots VALUES ('s', '[]', '{}', 5);"
                          "PRAGMA user_version = 1");
  open();
  EXPECT_EQ(integer(query("SELECT created_at FROM snapshots")[0][0]), 5);
  EXPECT_TRUE(add_secret("a", "b"));
  EXPECT_EQ(integer(query("PRAGMA user_version")[0][0]),
            static_cast<std::int64_t>(schema_steps().size()));
}

TEST_F(DatabaseTest, AMigrationThatFailsChangesNothing) {
  with_sqlite(file(), "CREATE TABLE secrets (other TEXT)");  // step 4 cannot make its table
  EXPECT_FALSE(Database::open(file()));
  with_sqlite(file(), "DROP TABLE secrets");
  open();
  EXPECT_TRUE(add_secret("a", "b"));
}

TEST_F(DatabaseTest, ADamagedFileIsNamedWithWhatToDo) {
  std::ofstream(file()) << std::string(8192, 'x');
  auto refused = Database::open(file());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find(file().string() + ": the database is damaged"),
            std::string::npos)
      << refused.error().message();
  EXPECT_NE(refused.error().message().find("move it away"), std::string::npos);
}

TEST_F(DatabaseTest, ADamagedPageIsFoundAtTheStart) {
  open();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(add_secret(std::to_string(i), std::string(2000, 's')));
  database_.reset();
  std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
  auto size = static_cast<std::streamoff>(std::filesystem::file_size(file()));
  for (std::streamoff at = 8192; at < size; at += 4096) {
    bytes.seekp(at);
    bytes << std::string(64, '\x7f');
  }
  bytes.close();
  auto refused = Database::open(file());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("damaged"), std::string::npos)
      << refused.error().message();
}

TEST_F(DatabaseTest, ALinkInItsPlaceIsNotFollowed) {
  std::ofstream(directory_ / "other") << "";
  std::filesystem::create_symlink(directory_ / "other", file());
  EXPECT_FALSE(Database::open(file()));
}

// Ends like an emulator that is killed: whatever it had acknowledged by then is there.
TEST_F(DatabaseTest, NothingAcknowledgedIsLostWhenTheProcessIsKilled) {
  for (int round = 0; round < 3; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    pid_t child = ::fork();
    if (child == 0) {
      auto opened = Database::open(file());
      boost::asio::io_context context(1);
      for (std::int64_t i = 0; opened; ++i) {
        auto durability = i % 2 == 0 ? Durability::kMachine : Durability::kProcess;
        auto done = tests::run_task(
            context,
            (*opened)->exec("INSERT INTO events (sandbox_id, name, recorded_at) "
                            "VALUES (?, 'create', ?)",
                            values(std::string(3000, 'e'), round * 1000000 + i), durability));
        if (!done || ::write(ends[1], &i, sizeof i) != sizeof i) ::_exit(1);
      }
      ::_exit(2);
    }
    ::close(ends[1]);
    std::int64_t last = -1;
    for (int i = 0; i < 40; ++i) {
      ASSERT_EQ(::read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    while (::read(ends[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) {
    }
    ::close(ends[0]);
    open();
    auto rows = query("SELECT count(*) FROM events WHERE recorded_at BETWEEN ? AND ?",
                      values(round * 1000000, round * 1000000 + last));
    EXPECT_EQ(integer(rows[0][0]), last + 1);
    database_.reset();
  }
}

}  // namespace
}  // namespace emulator::store
