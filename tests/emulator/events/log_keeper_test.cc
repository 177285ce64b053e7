// What of the lines is kept, and for how long.
#include "emulator/events/log_keeper.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/support/run_task.h"

namespace emulator::events {
namespace {

namespace cloud = fakeapi::cloud;

std::size_t lines(LogKeeper& keeper, const std::string& id) {
  boost::asio::io_context context;
  auto found = tests::run_task(context, keeper.logs(id));
  return found ? found->size() : 0;
}

cloud::SandboxEvent event(const std::string& id, const std::string& name) {
  cloud::SandboxEvent made;
  made.sandbox_id = id;
  made.name = name;
  return made;
}

TEST(LogKeeper, KeepsABoundedNumberOfLinesAndOfEndedSandboxes) {
  LogKeeper keeper;
  for (std::size_t i = 0; i < LogKeeper::kLines + 10; ++i) keeper.add(event("busy", "connect"));
  EXPECT_EQ(lines(keeper, "busy"), LogKeeper::kLines);
  keeper.add(event("first", "delete"));
  for (std::size_t i = 0; i < LogKeeper::kEndedSandboxes; ++i) {
    EXPECT_EQ(lines(keeper, "first"), 1U);
    keeper.add(event("later" + std::to_string(i), "delete"));
  }
  EXPECT_EQ(lines(keeper, "first"), 0U);
  EXPECT_EQ(lines(keeper, "busy"), LogKeeper::kLines) << "it lives";
  EXPECT_EQ(keeper.clear(), LogKeeper::kEndedSandboxes + 1);
}

}  // namespace
}  // namespace emulator::events
