#include "emulator/cli/http_probe.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>

#include "emulator/base/posix.h"

#include <netdb.h>

namespace emulator::cli {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

// A blocking socket whose connect, reads and writes each give up after `limit`.
base::Result<base::UniqueFd> dial(const std::string& host,
                                  std::uint16_t port,
                                  std::chrono::milliseconds limit) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return base::fail(base::Errc::kInvalidArgument, "'" + host + "' is not an address");
  }
  const std::unique_ptr<addrinfo, FreeAddresses> address(list);
  base::UniqueFd socket(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return base::fail_errno("socket");
  timeval time{};
  time.tv_sec = limit.count() / 1000;
  time.tv_usec = limit.count() % 1000 * 1000;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  if (::connect(socket.get(), address->ai_addr, address->ai_addrlen) != 0) {
    return base::fail_errno("connect to " + host + " port " + std::to_string(port));
  }
  return socket;
}

// 0: no HTTP.
int status_in(const std::string& head) {
  int status = 0;
  if (head.starts_with("HTTP/1.") && head.size() > 12) {
    (void)std::from_chars(head.data() + 9, head.data() + 12, status);
  }
  return status;
}

base::Error read_failure(base::Error error) {
  if (error.os_errno() != EAGAIN) return error;
  return base::Error(base::Errc::kDeadlineExceeded, "no answer in time");
}

constexpr std::size_t kMaxAnswer = 16U << 20U;

}  // namespace

base::Result<HttpAnswer> http_post(const std::string& host,
                                   std::uint16_t port,
                                   const std::string& path,
                                   const std::string& body,
                                   std::chrono::milliseconds limit) {
  SANDLOT_TRY(const base::UniqueFd socket, dial(host, port, limit));
  SANDLOT_CHECK(base::write_all(
      socket.get(), "POST " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
                        "\r\nContent-Type: application/json\r\nConnection: close\r\n" +
                        "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    auto count = base::read_some(socket.get(), buffer);
    if (!count) return base::fail(read_failure(std::move(count).error()));
    if (*count == 0) break;
    text.append(buffer.data(), *count);
    if (text.size() > kMaxAnswer) return base::fail(base::Errc::kTooLarge, "the answer is too big");
  }
  HttpAnswer answer;
  answer.status = status_in(text);
  auto end = text.find("\r\n\r\n");
  if (answer.status == 0 || end == std::string::npos)
    return base::fail(base::Errc::kUnavailable, "what answers on the port does not speak HTTP");
  answer.body = text.substr(end + 4);
  return answer;
}

base::Result<int> http_status(const std::string& host,
                              std::uint16_t port,
                              const std::string& path,
                              std::chrono::milliseconds limit) {
  SANDLOT_TRY(const base::UniqueFd socket, dial(host, port, limit));
  SANDLOT_CHECK(base::write_all(
      socket.get(), "GET " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
                        "\r\nConnection: close\r\n\r\n"));
  std::string head;
  std::array<char, 512> buffer{};
  while (head.find("\r\n") == std::string::npos && head.size() < 4096) {
    auto count = base::read_some(socket.get(), buffer);
    if (!count) return base::fail(read_failure(std::move(count).error()));
    if (*count == 0) break;
    head.append(buffer.data(), *count);
  }
  const int status = status_in(head);
  if (status == 0)
    return base::fail(base::Errc::kUnavailable, "what answers on the port does not speak HTTP");
  return status;
}

}  // namespace emulator::cli
