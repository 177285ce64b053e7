// Records of volumes outlive the emulator.
#include "emulator/volumes/catalogue.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/store/database.h"
#include "tests/support/run_task.h"

namespace emulator::volumes {
namespace {

namespace fs = std::filesystem;

VolumeRecord record(const std::string& id, const std::string& name) {
  VolumeRecord made;
  made.id = id;
  made.name = name;
  made.token = "token of " + id;
  made.created_at = base::TimePoint(std::chrono::milliseconds(1789984800123));
  return made;
}

TEST(Catalogue, RecordsSurviveAndNamesAreUnique) {
  std::string name = (fs::temp_directory_path() / "catalogue-XXXXXX").string();
  fs::path directory = ::mkdtemp(name.data());
  boost::asio::io_context io;
  {
    auto database = store::Database::open(directory / "db");
    ASSERT_TRUE(database) << database.error().message();
    auto catalogue = make_stored_catalogue(**database, "mine");
    VolumeRecord second = record("id-2", "b");
    second.quota = fakeapi::cloud::VolumeQuota{3, 3000};
    ASSERT_TRUE(tests::run_task(io, catalogue->add(record("id-1", "a"))));
    ASSERT_TRUE(tests::run_task(io, catalogue->add(second)));
    auto taken = tests::run_task(io, catalogue->add(record("id-3", "a")));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), base::Errc::kAlreadyExists);
    second.quota->size_gib = 5;
    ASSERT_TRUE(tests::run_task(io, catalogue->set_quota(second)));
  }
  auto database = store::Database::open(directory / "db");
  ASSERT_TRUE(database);
  auto catalogue = make_stored_catalogue(**database, "mine");
  auto all = tests::run_task(io, catalogue->all());
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].name, "a");
  EXPECT_EQ((*all)[0].token, "token of id-1");
  EXPECT_EQ((*all)[0].created_at, record("", "").created_at);
  EXPECT_FALSE((*all)[0].quota);
  EXPECT_EQ((*all)[1].quota, (fakeapi::cloud::VolumeQuota{5, 3000}));
  ASSERT_TRUE(tests::run_task(io, catalogue->remove("id-1")));
  EXPECT_EQ(tests::run_task(io, catalogue->all())->size(), 1U);
  // Another emulator's paused sandbox keeps it; a row of our own may be one that could not go.
  auto paused_by = [&](const char* instance) {
    const char* body = R"({"info":{"volumeMounts":[{"name":"b","path":"/b"}]}})";
    return tests::run_task(
        io,
        (*database)->exec("INSERT OR REPLACE INTO paused_sandboxes (sandbox_id, instance, files, "
                          "body, paused_at) VALUES ('s1', ?, 'f', ?, 0)",
                          store::values(std::string(instance), std::string(body))));
  };
  ASSERT_TRUE(paused_by("theirs"));
  auto kept = tests::run_task(io, catalogue->remove("id-2"));
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code(), base::Errc::kConflict);
  EXPECT_EQ(kept.error().message(), "Volume 'b' is mounted in a paused sandbox s1");
  ASSERT_TRUE(paused_by("mine"));
  EXPECT_TRUE(tests::run_task(io, catalogue->remove("id-2")));
  EXPECT_TRUE(tests::run_task(io, catalogue->all())->empty());
  database->reset();
  fs::remove_all(directory);
}

}  // namespace
}  // namespace emulator::volumes
