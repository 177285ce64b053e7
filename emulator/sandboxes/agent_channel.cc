#include "emulator/sandboxes/agent_channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
using base::Errc;

namespace {

base::Task<std::string> receive_answer(asio::posix::stream_descriptor& channel) {
  std::array<char, 4096> answer{};
  for (;;) {
    auto count = ::recv(channel.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT);
    if (count > 0) co_return std::string(answer.data(), static_cast<std::size_t>(count));
    if (count == 0) co_return base::fail(Errc::kUnavailable, "the sandbox's agent is gone");
    if (errno != EAGAIN && errno != EINTR) co_return base::fail_errno("agent channel");
    auto [error] =
        co_await channel.async_wait(asio::posix::stream_descriptor::wait_read, base::kUse);
    if (error) co_return base::fail(Errc::kCanceled, "agent channel: " + error.message());
  }
}

// "error: no_space: /.e2b: write: No space left on device" with its code.
base::Error refusal(std::string_view answer) {
  constexpr std::string_view kPrefix = "error: ";
  std::string_view text = answer.substr(answer.starts_with(kPrefix) ? kPrefix.size() : 0);
  Errc code = base::errc_of(text.substr(0, text.find(':')));
  return {code, "the sandbox's agent refused: " + std::string(text)};
}

// An answer that came too late for whoever waited for it is nobody's.
void forget_late_answers(int channel) {
  std::array<char, 64> answer{};
  while (::recv(channel, answer.data(), answer.size(), MSG_DONTWAIT) > 0) {
  }
}

// Sends a message and waits for its "ok". The descriptor is borrowed.
base::Task<> tell(int control_fd, std::string message) {
  int copy = ::fcntl(control_fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) co_return base::fail_errno("agent channel");
  asio::posix::stream_descriptor channel(co_await asio::this_coro::executor, copy);
  forget_late_answers(copy);
  auto sent = ::send(copy, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) co_return base::fail_errno("agent channel");
  auto waiting = receive_answer(channel);
  SANDLOT_CO_TRY(std::string answer,
                 co_await base::with_deadline(std::move(waiting), std::chrono::seconds(5),
                                              "waiting for the sandbox's agent"));
  if (answer != "ok") co_return base::fail(refusal(answer));
  co_return base::Result<>();
}

}  // namespace

base::Task<> configure_agent(int control_fd, fakeapi::envd::SandboxConfiguration configuration) {
  return tell(control_fd, fakeapi::envd::encode(configuration));
}

base::Task<> set_agent_memory(int control_fd, std::int64_t bytes) {
  return tell(control_fd, fakeapi::envd::encode_memory(bytes));
}

base::Task<> set_agent_clock(int control_fd, fakeapi::envd::ClockSetting clock) {
  return tell(control_fd, fakeapi::envd::encode_clock(clock));
}

}  // namespace emulator::sandboxes
