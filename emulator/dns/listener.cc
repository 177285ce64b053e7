#include "emulator/dns/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "emulator/base/async.h"
#include "emulator/base/deadline.h"
#include "emulator/base/scope_exit.h"
#include "emulator/dns/records.h"

namespace emulator::dns {

namespace asio = boost::asio;

namespace {

// At once, of all clients and of one. More UDP is dropped, as UDP may be; more connections are
// closed.
constexpr std::size_t kMaxQuestions = 1024;
constexpr std::size_t kMaxQuestionsOfOne = 256;
constexpr std::size_t kMaxStreams = 512;
constexpr std::size_t kMaxStreamsOfOne = 32;
constexpr std::size_t kMaxTasks = 2048;  // and those that are being closed
constexpr std::size_t kMaxQuery = 4096;
constexpr std::size_t kLengthSize = 2;  // before each message of a stream
constexpr auto kStreamRest = std::chrono::seconds(10);
constexpr auto kPause = std::chrono::milliseconds(100);

base::Result<int> family_of(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0)
    return base::fail_errno("SO_DOMAIN");
  return family;
}

base::Task<Bytes> read_message(asio::ip::tcp::socket& stream) {
  std::array<std::uint8_t, kLengthSize> length{};
  auto [length_error, two] = co_await asio::async_read(stream, asio::buffer(length), base::kUse);
  if (length_error) co_return base::fail(base::os_error("read query", length_error.value()));
  auto size = static_cast<std::size_t>((length[0] << 8U) | length[1]);
  if (size > kMaxQuery) co_return base::fail(base::Errc::kTooLarge, "no question is that long");
  Bytes query(size);
  auto [error, count] = co_await asio::async_read(stream, asio::buffer(query), base::kUse);
  if (error) co_return base::fail(base::os_error("read query", error.value()));
  co_return query;
}

base::Task<> write_message(asio::ip::tcp::socket& stream, Bytes message) {
  auto size = static_cast<std::uint16_t>(message.size());
  std::array<std::uint8_t, kLengthSize> length{static_cast<std::uint8_t>(size >> 8U),
                                               static_cast<std::uint8_t>(size & 0xffU)};
  std::array<asio::const_buffer, 2> parts{asio::buffer(length), asio::buffer(message)};
  auto [error, count] = co_await asio::async_write(stream, parts, base::kUse);
  if (error) co_return base::fail(base::os_error("write answer", error.value()));
  co_return base::Result<>();
}

}  // namespace

Listener::Listener(asio::any_io_executor executor, Answer answer)
    : executor_(std::move(executor)),
      answer_(std::move(answer)),
      questions_(kMaxQuestions, kMaxQuestionsOfOne),
      streams_(kMaxStreams, kMaxStreamsOfOne),
      tasks_(executor_) {}

Listener::~Listener() = default;

base::Result<> Listener::serve_udp(base::UniqueFd socket) {
  SANDLOT_TRY(int family, family_of(socket.get()));
  boost::system::error_code error;
  UdpSocket owner(executor_);
  owner.assign(family == AF_INET6 ? asio::ip::udp::v6() : asio::ip::udp::v4(), socket.get(), error);
  if (error) return base::fail(base::os_error("serve DNS by UDP", error.value()));
  (void)socket.release();
  udp_.push_back(std::move(owner));
  tasks_.spawn("dns udp", receive(udp_.back()));
  return {};
}

base::Result<> Listener::serve_tcp(base::UniqueFd socket) {
  SANDLOT_TRY(int family, family_of(socket.get()));
  boost::system::error_code error;
  Acceptor owner(executor_);
  owner.assign(family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.get(), error);
  if (error) return base::fail(base::os_error("serve DNS by TCP", error.value()));
  (void)socket.release();
  tcp_.push_back(std::move(owner));
  tasks_.spawn("dns tcp", accept(tcp_.back()));
  return {};
}

asio::awaitable<void> Listener::receive(UdpSocket& socket) {
  Bytes buffer(kMaxQuery);
  asio::ip::udp::endpoint client;
  while (socket.is_open()) {
    auto [error, count] =
        co_await socket.async_receive_from(asio::buffer(buffer), client, base::kUse);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // An ICMP error of an earlier answer, as a rule.
      co_await base::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (!questions_.take(client.address())) continue;
    Bytes query(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    tasks_.spawn("dns query", reply(socket, std::move(query), client));
  }
}

asio::awaitable<void> Listener::reply(UdpSocket& socket,
                                      Bytes query,
                                      asio::ip::udp::endpoint client) {
  base::ScopeExit done([&] { questions_.give_back(client.address()); });
  std::size_t limit = udp_size(query);
  Bytes message = co_await answer_(std::move(query), Transport::kUdp, client.address());
  fit(message, limit);
  if (message.empty() || !socket.is_open()) co_return;
  // A full send buffer loses the answer; the client asks again.
  boost::system::error_code ignored;
  socket.send_to(asio::buffer(message), client, 0, ignored);
}

asio::awaitable<void> Listener::accept(Acceptor& acceptor) {
  while (acceptor.is_open()) {
    auto [error, stream] = co_await acceptor.async_accept(base::kUse);
    if (error == asio::error::operation_aborted) co_return;
    if (error || tasks_.size() >= kMaxTasks) {
      co_await base::sleep_for(kPause);
      continue;
    }
    tasks_.spawn("dns stream", serve_accepted(std::move(stream)));
  }
}

asio::awaitable<void> Listener::serve_accepted(asio::ip::tcp::socket stream) {
  std::uint64_t uncounted = 0;
  StreamBytes bytes{uncounted, uncounted};
  co_await serve_stream(stream, bytes);
}

asio::awaitable<void> Listener::serve_stream(asio::ip::tcp::socket& stream, StreamBytes bytes) {
  boost::system::error_code gone;
  asio::ip::address client = stream.remote_endpoint(gone).address();
  if (gone || !streams_.take(client)) co_return;
  base::ScopeExit done([&] { streams_.give_back(client); });
  for (;;) {
    auto query = co_await base::with_deadline(read_message(stream), kStreamRest, "DNS query");
    if (!query) co_return;
    bytes.questions += kLengthSize + query->size();
    Bytes message = co_await answer_(std::move(*query), Transport::kTcp, client);
    if (message.empty()) co_return;
    std::size_t size = kLengthSize + message.size();
    auto sent = co_await base::with_deadline(write_message(stream, std::move(message)), kStreamRest,
                                             "DNS answer");
    if (!sent) co_return;
    bytes.answers += size;
  }
}

asio::awaitable<void> Listener::stop() {
  boost::system::error_code ignored;
  for (UdpSocket& socket : udp_) socket.close(ignored);
  for (Acceptor& acceptor : tcp_) acceptor.close(ignored);
  tasks_.cancel();
  co_await tasks_.join();
  udp_.clear();
  tcp_.clear();
}

base::Result<> bind_to(int socket, const std::string& address, std::uint16_t port, int type) {
  boost::system::error_code error;
  auto parsed = asio::ip::make_address(address, error);
  if (error) return base::fail(base::Errc::kInvalidArgument, address + " is no address");
  asio::ip::udp::endpoint endpoint(parsed, port);
  int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (parsed.is_v6()) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(socket, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
    return base::fail_errno("bind " + address + " port " + std::to_string(port));
  }
  if (type == SOCK_STREAM && ::listen(socket, SOMAXCONN) != 0)
    return base::fail_errno("listen on " + address);
  return {};
}

base::Result<base::UniqueFd> bind_socket(const std::string& address, std::uint16_t port, int type) {
  bool v6 = address.find(':') != std::string::npos;
  base::UniqueFd socket(::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return base::fail_errno("open a socket");
  SANDLOT_CHECK(bind_to(socket.get(), address, port, type));
  return socket;
}

}  // namespace emulator::dns
