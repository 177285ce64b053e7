#include "fakeapi/envd/control_channel.h"

#include <sys/socket.h>

#include "emulator/base/async.h"

namespace fakeapi::envd {

ControlChannel::ControlChannel(boost::asio::any_io_executor executor, int fd)
    : descriptor_(executor, fd) {
  boost::system::error_code ignored;
  descriptor_.native_non_blocking(true, ignored);
}

base::Result<> ControlChannel::send(std::string_view message) {
  // Messages are small and answered one by one: the buffer of the socket has room.
  ssize_t sent = ::send(descriptor_.native_handle(), message.data(), message.size(), MSG_NOSIGNAL);
  if (sent < 0) return base::fail_errno("control channel");
  return {};
}

base::Task<std::optional<std::string>> ControlChannel::receive() {
  for (;;) {
    // The size first: a message is taken whole or not at all.
    ssize_t size = ::recv(descriptor_.native_handle(), nullptr, 0, MSG_PEEK | MSG_TRUNC);
    if (size == 0) co_return std::optional<std::string>();
    if (size > 0) {
      std::string message(static_cast<std::size_t>(size), '\0');
      ssize_t count = ::recv(descriptor_.native_handle(), message.data(), message.size(), 0);
      if (count != size) co_return base::fail_errno("control channel");
      co_return std::optional<std::string>(std::move(message));
    }
    if (errno == ECONNRESET) co_return std::optional<std::string>();
    if (errno != EAGAIN && errno != EINTR) co_return base::fail_errno("control channel");
    auto [error] = co_await descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                                   base::kUse);
    if (error) co_return base::fail(base::os_error("control channel", error.value()));
  }
}

}  // namespace fakeapi::envd
