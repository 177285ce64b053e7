#include "emulator/base/readiness.h"

#include <poll.h>

#include "emulator/base/async.h"

namespace base {

namespace asio = boost::asio;

asio::awaitable<boost::system::error_code> until_readable(
    asio::posix::stream_descriptor& descriptor) {
  pollfd now{descriptor.native_handle(), POLLIN, 0};
  while (::poll(&now, 1, 0) == 0) {
    auto [error] = co_await descriptor.async_wait(asio::posix::descriptor_base::wait_read, kUse);
    if (error) co_return error;
  }
  co_return boost::system::error_code();
}

}  // namespace base
