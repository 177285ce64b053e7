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
    auto catalogue = make_stored_catalogue(**database);
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
  auto catalogue = make_stored_catalogue(**database);
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
  database->reset();
  fs::remove_all(directory);
}

}  // namespace
}  // namespace emulator::volumes
