#include "emulator/base/readiness.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <optional>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/base/async.h"
#include "emulator/base/task_group.h"
#include "emulator/base/unique_fd.h"

namespace base {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

int new_event(unsigned value) {
  return ::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
}

asio::awaitable<void> wait(Descriptor& descriptor, bool& readable) {
  auto error = co_await until_readable(descriptor);
  readable = !error;
}

// Two descriptors become readable at once. Whoever is told of the first closes the second, whose
// turn is next, and opens a third, which gets the entry of the second in the reactor.
TEST(UntilReadable, TheReadinessOfAClosedDescriptorIsNotThatOfTheNextOne) {
  asio::io_context context;
  TaskGroup tasks(context.get_executor());
  Descriptor first(context, new_event(1));
  std::optional<Descriptor> second(std::in_place, context, new_event(1));
  std::optional<Descriptor> third;
  bool plain = false;
  bool readable = false;
  first.async_wait(Descriptor::wait_read, [&](boost::system::error_code) {
    second.reset();
    third.emplace(context, new_event(0));
    third->async_wait(Descriptor::wait_read, [&](boost::system::error_code error) {
      plain = !error;
      tasks.spawn("wait", wait(*third, readable));
    });
  });
  second->async_wait(Descriptor::wait_read, [](boost::system::error_code) {});
  context.run_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(plain) << "the library has mended it: until_readable() is needed no more";
  EXPECT_FALSE(readable);

  const std::uint64_t one = 1;
  ASSERT_EQ(::write(third->native_handle(), &one, sizeof one), sizeof one);
  context.restart();
  context.run();
  EXPECT_TRUE(readable);
}

}  // namespace
}  // namespace base
