#include "emulator/cli/endpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/ids.h"
#include "emulator/base/posix.h"

namespace emulator::cli {
namespace {

using ::testing::HasSubstr;

class EndpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_dir_ = std::filesystem::temp_directory_path() / ("sandlot-test-" + base::random_id(8));
  }
  void TearDown() override { std::filesystem::remove_all(run_dir_); }
  Endpoint publish(const std::string& instance, std::uint16_t port) {
    config::Options options;
    options.port = port;
    Endpoint endpoint = make_endpoint(options, instance);
    const auto directory = run_dir_ / instance;
    EXPECT_TRUE(base::make_directories(directory, 0700));
    EXPECT_TRUE(write_endpoint(directory, endpoint));
    return endpoint;
  }
  std::filesystem::path run_dir_;
};

TEST_F(EndpointTest, ARunningEmulatorIsFound) {
  const Endpoint written = publish("abc123", 7463);
  auto found = find_endpoint(run_dir_);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->instance, "abc123");
  EXPECT_EQ(found->pid, ::getpid());
  EXPECT_EQ(found->port, 7463);
  EXPECT_EQ(found->api_key, kLocalApiKey);
  EXPECT_EQ(found->boot_id, written.boot_id);
  EXPECT_FALSE(found->dns_port);
}

TEST_F(EndpointTest, ADeadOneIsNot) {
  Endpoint endpoint = publish("abc123", 7463);
  endpoint.start_time += 1;
  ASSERT_TRUE(write_endpoint(run_dir_ / "abc123", endpoint));
  auto found = find_endpoint(run_dir_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), base::Errc::kNotFound);
  EXPECT_THAT(found.error().message(), HasSubstr("sandlot serve"));
}

TEST_F(EndpointTest, AmongSeveralThePortChoosesAndTheDefaultPortWins) {
  publish("aaaaaa", 4000);
  publish("bbbbbb", 5000);
  auto several = find_endpoint(run_dir_);
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().code(), base::Errc::kConflict);
  EXPECT_EQ(find_endpoint(run_dir_, 5000)->instance, "bbbbbb");
  EXPECT_FALSE(find_endpoint(run_dir_, 6000));
  publish("cccccc", 7463);
  EXPECT_EQ(find_endpoint(run_dir_)->instance, "cccccc");
}

TEST_F(EndpointTest, EverybodyMayReadTheFileAndNobodyListsTheDirectory) {
  publish("abc123", 7463);
  struct stat status {};
  ASSERT_EQ(::stat((run_dir_ / "abc123/endpoint.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);
  ASSERT_EQ(::stat((run_dir_ / "abc123").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0711U);
}

TEST_F(EndpointTest, GarbageIsPassedOver) {
  ASSERT_TRUE(base::make_directories(run_dir_ / "junk"));
  for (const char* text : {"", "{", "[]", "{\"pid\": \"x\"}", "{\"pid\": 1}"}) {
    ASSERT_TRUE(base::write_file(run_dir_ / "junk/endpoint.json", text));
    EXPECT_FALSE(find_endpoint(run_dir_)) << text;
  }
}

TEST_F(EndpointTest, AListenerOnEveryAddressIsDialledOnLoopback) {
  config::Options options;
  options.hosts = {"0.0.0.0"};
  EXPECT_EQ(make_endpoint(options, "abc123").host, "127.0.0.1");
  options.hosts = {"::"};
  EXPECT_EQ(make_endpoint(options, "abc123").host, "::1");
  options.hosts = {"192.0.2.7"};
  EXPECT_EQ(make_endpoint(options, "abc123").host, "192.0.2.7");
}

}  // namespace
}  // namespace emulator::cli
