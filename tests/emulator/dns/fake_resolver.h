// A resolver for tests: answers every A question with one address, by UDP and TCP, on a thread of
// its own; and a client that asks one question and waits.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include <boost/asio/ip/udp.hpp>
#include <gtest/gtest.h>

#include "emulator/base/unique_fd.h"
#include "emulator/dns/listener.h"
#include "emulator/dns/message.h"

namespace emulator::dns {

inline Bytes make_query(const std::string& name, std::uint16_t type, std::uint16_t id = 0x1234) {
  Bytes message = {static_cast<std::uint8_t>(id >> 8U),
                   static_cast<std::uint8_t>(id & 0xffU),
                   1,
                   0,
                   0,
                   1,
                   0,
                   0,
                   0,
                   0,
                   0,
                   0};
  for (std::size_t at = 0; at < name.size();) {
    std::size_t end = std::min(name.find('.', at), name.size());
    message.push_back(static_cast<std::uint8_t>(end - at));
    message.insert(message.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
                   name.begin() + static_cast<std::ptrdiff_t>(end));
    at = end + 1;
  }
  for (int byte : {0, type >> 8, type & 0xff, 0, 1})
    message.push_back(static_cast<std::uint8_t>(byte));
  return message;
}

inline int rcode_of(const Bytes& reply) {
  return reply.size() < kHeaderSize ? -1 : reply[3] & 0x0f;
}
inline int answers_in(const Bytes& reply) {
  return reply.size() < kHeaderSize ? -1 : reply[7];
}
// The last `count` bytes: the address of a reply with one record.
inline Bytes tail_of(const Bytes& reply, std::size_t count) {
  if (reply.size() < count) return {};
  return Bytes(reply.end() - static_cast<std::ptrdiff_t>(count), reply.end());
}

inline std::uint16_t port_of(int socket) {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.sin_port);
}

class FakeResolver {
 public:
  using Respond = std::function<Bytes(const Bytes& query)>;  // empty: silence

  // Takes a bound UDP socket and, optionally, a listening TCP socket.
  FakeResolver(base::UniqueFd udp, base::UniqueFd tcp, Respond respond)
      : udp_(std::move(udp)), tcp_(std::move(tcp)), respond_(std::move(respond)) {
    thread_ = std::thread([this] { run(); });
  }
  explicit FakeResolver(Respond respond = &FakeResolver::answer_with_a)
      : FakeResolver(
            *bind_socket("127.0.0.1", 0, SOCK_DGRAM), base::UniqueFd(), std::move(respond)) {}
  ~FakeResolver() {
    stop_ = true;
    thread_.join();
  }

  boost::asio::ip::udp::endpoint endpoint() const {
    return {boost::asio::ip::make_address("127.0.0.1"), port_of(udp_.get())};
  }
  int asked() const { return asked_; }

  static Bytes answer_with_a(const Bytes& query) {
    auto question = parse_query(query);
    if (!question) return {};
    if (question->type != kTypeA) return make_reply(query, Rcode::kNoError);
    Bytes address = {93, 184, 216, 34};
    return make_address_reply(query, *question, address, 300);
  }

 private:
  void run() {
    while (!stop_) {
      std::array<pollfd, 2> set{pollfd{udp_.get(), POLLIN, 0}, pollfd{tcp_.get(), POLLIN, 0}};
      if (::poll(set.data(), set.size(), 20) <= 0) continue;
      if (set[0].revents != 0) answer_datagram();
      if (set[1].revents != 0) answer_stream();
    }
  }
  void answer_datagram() {
    Bytes query(4096);
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    auto count = ::recvfrom(udp_.get(), query.data(), query.size(), 0,
                            reinterpret_cast<sockaddr*>(&from), &size);
    if (count < 0) return;
    query.resize(static_cast<std::size_t>(count));
    ++asked_;
    Bytes reply = respond_(query);
    if (!reply.empty())
      ::sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
  void answer_stream() {
    base::UniqueFd stream(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<std::uint8_t, 2> length{};
    if (::recv(stream.get(), length.data(), 2, MSG_WAITALL) != 2) return;
    Bytes query(static_cast<std::size_t>((length[0] << 8U) | length[1]));
    if (::recv(stream.get(), query.data(), query.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(query.size()))
      return;
    ++asked_;
    Bytes reply = respond_(query);
    Bytes framed = {static_cast<std::uint8_t>(reply.size() >> 8U),
                    static_cast<std::uint8_t>(reply.size() & 0xffU)};
    framed.insert(framed.end(), reply.begin(), reply.end());
    ::send(stream.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }

  base::UniqueFd udp_;
  base::UniqueFd tcp_;
  Respond respond_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

// Sends `query` on a UDP socket and waits up to five seconds; empty when nothing came.
inline Bytes exchange_udp(int socket, const sockaddr_in& server, const Bytes& query) {
  ::sendto(socket, query.data(), query.size(), 0, reinterpret_cast<const sockaddr*>(&server),
           sizeof server);
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, 5000) <= 0) return {};
  Bytes reply(65536);
  auto count = ::recv(socket, reply.data(), reply.size(), 0);
  reply.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return reply;
}

// One question on a connected TCP socket.
inline Bytes exchange_tcp(int socket, const Bytes& query) {
  Bytes framed = {static_cast<std::uint8_t>(query.size() >> 8U),
                  static_cast<std::uint8_t>(query.size() & 0xffU)};
  framed.insert(framed.end(), query.begin(), query.end());
  ::send(socket, framed.data(), framed.size(), MSG_NOSIGNAL);
  std::array<std::uint8_t, 2> length{};
  if (::recv(socket, length.data(), 2, MSG_WAITALL) != 2) return {};
  Bytes reply(static_cast<std::size_t>((length[0] << 8U) | length[1]));
  auto count = ::recv(socket, reply.data(), reply.size(), MSG_WAITALL);
  reply.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return reply;
}

inline Bytes ask_udp(std::uint16_t port, const Bytes& query) {
  base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(port);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return exchange_udp(socket.get(), server, query);
}

inline Bytes ask_tcp(std::uint16_t port, const Bytes& query) {
  base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{5, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(port);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server) != 0) return {};
  return exchange_tcp(socket.get(), query);
}

}  // namespace emulator::dns
