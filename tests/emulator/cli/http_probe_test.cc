#include "emulator/cli/http_probe.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace emulator::cli {
namespace {

// A listener on a free port that sends one text to its first client.
class OneAnswer {
 public:
  explicit OneAnswer(std::string text) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size);
    ::listen(socket_.get(), 1);
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, text = std::move(text)] {
      const base::UniqueFd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      (void)base::write_all(client.get(), text);
      char byte = 0;
      while (::read(client.get(), &byte, 1) == 1 && !text.empty()) {
      }
    });
  }
  ~OneAnswer() { thread_.join(); }
  std::uint16_t port = 0;

 private:
  base::UniqueFd socket_;
  std::thread thread_;
};

TEST(HttpProbe, ReadsTheStatus) {
  OneAnswer server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  auto status = http_status("127.0.0.1", server.port, "/", std::chrono::seconds(5));
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(*status, 503);
}

TEST(HttpProbe, SomethingElseOnThePortIsAnError) {
  OneAnswer server("SSH-2.0-OpenSSH\r\n");
  auto status = http_status("127.0.0.1", server.port, "/", std::chrono::seconds(5));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::Errc::kUnavailable);
}

TEST(HttpProbe, NobodyThereIsAnError) {
  EXPECT_FALSE(http_status("127.0.0.1", 1, "/", std::chrono::seconds(1)));
  EXPECT_FALSE(http_status("not an address", 1, "/", std::chrono::seconds(1)));
}

}  // namespace
}  // namespace emulator::cli
