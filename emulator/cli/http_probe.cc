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

}  // namespace

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
    if (!count) {
      if (count.error().os_errno() == EAGAIN)
        return base::fail(base::Errc::kDeadlineExceeded, "no answer in time");
      return base::fail(std::move(count).error());
    }
    if (*count == 0) break;
    head.append(buffer.data(), *count);
  }
  int status = 0;
  if (head.starts_with("HTTP/1.") && head.size() > 12) {
    (void)std::from_chars(head.data() + 9, head.data() + 12, status);
  }
  if (status == 0)
    return base::fail(base::Errc::kUnavailable, "what answers on the port does not speak HTTP");
  return status;
}

}  // namespace emulator::cli
