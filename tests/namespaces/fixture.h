// A runtime with a small root file system made from the machine's /usr, an event loop that runs
// until a task is done, and a check that nothing is left at the end.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"
#include "namespaces/container_runtime.h"

namespace namespaces_test {

constexpr std::uint32_t kFirstId = (1U << 28U) + 7U * 65536U;

// A new network namespace with nothing in it but lo (down).
base::UniqueFd make_netns();

struct Output {
  int status = -1;
  std::string text;
};

// Blocking; on the control channel of a container whose agent is test_agent.
Output run_in(const namespaces::Container& container, unsigned uid, const std::string& command);

// comparisons.

// Another process with a runtime: starts three sandboxes below `directory`, writes their pids to
// `directory`/pids and waits to be killed.
inline constexpr const char* kCrashRole = "@crash";
int run_until_killed(const std::filesystem::path& directory, const std::string& instance);

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs the loop until `task` is done.
  template <class T>
  base::Result<T> await(base::Task<T> task) {
    std::optional<base::Result<T>> result;
    boost::asio::co_spawn(io_, std::move(task),
                          [&](const std::exception_ptr& thrown, base::Result<T> value) {
                            if (thrown) std::rethrow_exception(thrown);
                            result.emplace(std::move(value));
                          });
    io_.restart();
    while (!result) io_.run_one();
    return std::move(*result);
  }
  void drain();

  namespaces::ContainerSpec spec(const std::string& id);
  // A container that must come up.
  std::unique_ptr<namespaces::Container> start(const std::string& id);
  std::filesystem::path upper(const std::string& id) const;
  // Of one sandbox, all hierarchies.
  std::size_t cgroups_of(const std::string& id) const;

  boost::asio::io_context io_;
  std::filesystem::path directory_;  // on the same disk as /usr
  std::string instance_;
  base::UniqueFd netns_;
  std::unique_ptr<namespaces::ContainerRuntime> runtime_;
};

}  // namespace namespaces_test
