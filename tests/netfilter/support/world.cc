#include "tests/netfilter/support/world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "emulator/base/posix.h"
#include "netfilter/netlink.h"
#include "netfilter/netns.h"

namespace netfilter::tests {

namespace {

template <class T>
T need(base::Result<T> result, const char* what) {
  if (!result) {
    ADD_FAILURE() << what << ": " << result.error().message();
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

constexpr int kUplink = 70;
constexpr int kDownlink = 71;

void make_internet(World& world) {
  auto made = run_on_thread([&]() -> base::Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return base::fail_errno("unshare");
    SANDLOT_TRY(world.internet, base::open_file("/proc/thread-self/ns/net", O_RDONLY));
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch batch;
    batch.set_link_up(kLoopbackIndex);
    for (const char* address : {kWebServer, "1.1.1.1", "8.8.8.8", kPrivateServer}) {
      batch.add_address(kLoopbackIndex, *parse_ipv4(address), 32);
    }
    return netlink.commit(batch);
  });
  need(std::move(made), "internet");

  auto here = need(NetlinkSocket::open(), "netlink");
  NetlinkBatch outside;
  outside.set_link_up(kLoopbackIndex);
  outside.add_address(kLoopbackIndex, *parse_ipv4(kMachineAddress), 32);
  outside.add_veth({"up0", kUplink, {2, 0, 0, 0, 0, 1}}, {"down0", kDownlink, {2, 0, 0, 0, 0, 2}},
                   world.internet.get());
  outside.add_address(kUplink, {203, 0, 113, 2}, 30);
  need(here.commit(outside), "machine");

  auto wired = run_in_netns(world.internet.get(), []() -> base::Result<> {
    SANDLOT_TRY(auto netlink, NetlinkSocket::open());
    NetlinkBatch batch;
    batch.set_link_up(kDownlink);
    batch.add_address(kDownlink, {203, 0, 113, 1}, 30);
    batch.add_default_route(kDownlink, {203, 0, 113, 2});
    return netlink.commit(batch);
  });
  need(std::move(wired), "internet's link");
  NetlinkBatch route;
  route.add_default_route(kUplink, {203, 0, 113, 1});
  need(here.commit(route), "machine's route");
}

}  // namespace

sockaddr_in address_of(const std::string& address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

base::UniqueFd socket_in(int netns, int type, int protocol) {
  base::UniqueFd result;
  auto opened = run_in_netns(netns, [&]() -> base::Result<> {
    result.reset(::socket(AF_INET, type | SOCK_CLOEXEC, protocol));
    if (!result) return base::fail_errno("socket");
    return {};
  });
  need(std::move(opened), "socket");
  timeval limit{kPatience.count() / 1000, 0};
  ::setsockopt(result.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return result;
}

std::optional<base::UniqueFd> connect_from(int netns,
                                           const std::string& address,
                                           std::uint16_t port,
                                           milliseconds patience) {
  base::UniqueFd socket = socket_in(netns, SOCK_STREAM | SOCK_NONBLOCK);
  sockaddr_in target = address_of(address, port);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) != 0) {
    if (errno != EINPROGRESS) return std::nullopt;
    pollfd wait{socket.get(), POLLOUT, 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) == 0) {
      errno = ETIMEDOUT;
      return std::nullopt;
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      errno = error;
      return std::nullopt;
    }
  }
  ::fcntl(socket.get(), F_SETFL, 0);
  return socket;
}

void send_text(int socket, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    auto count = ::send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (count <= 0) return;
    at += static_cast<std::size_t>(count);
  }
}

std::string read_to_end(int socket) {
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count == 0) return text;
    if (count < 0) return text + (errno == ECONNRESET ? "(reset)" : "(time-out)");
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

std::string read_once(int socket) {
  std::array<char, 65536> buffer{};
  auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == ECONNRESET ? "(reset)" : "(time-out)";
  return std::string(buffer.data(), static_cast<std::size_t>(count));
}

TcpServer::TcpServer(int netns, const std::string& address, std::uint16_t port, Serve serve)
    : listener_(socket_in(netns, SOCK_STREAM)), serve_(std::move(serve)) {
  int on = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  timeval none{0, 0};
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
  sockaddr_in where = address_of(address, port);
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    ADD_FAILURE() << "test server on " << address << ": " << std::generic_category().message(errno);
    std::abort();
  }
  thread_ = std::thread([this] {
    for (;;) {
      base::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      timeval limit{kPatience.count() / 1000, 0};
      ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ++accepted_;
      serve_(connection.get());
    }
  });
}

TcpServer::~TcpServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

UdpCanary::UdpCanary(int netns, const std::string& address, std::uint16_t port)
    : socket_(socket_in(netns, SOCK_DGRAM)) {
  sockaddr_in where = address_of(address, port);
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
}

bool UdpCanary::hears(milliseconds patience) const {
  pollfd wait{socket_.get(), POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 2048> buffer{};
  return ::recv(socket_.get(), buffer.data(), buffer.size(), 0) >= 0;
}

void send_datagram(int netns,
                   const std::string& address,
                   std::uint16_t port,
                   const std::string& text) {
  base::UniqueFd socket = socket_in(netns, SOCK_DGRAM);
  sockaddr_in target = address_of(address, port);
  ::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&target),
           sizeof target);
}

void answer_after_end(int connection) {
  std::string text = read_to_end(connection);
  send_text(connection, "got " + std::to_string(text.size()) + " bytes");
}

TcpServer::Serve greet(std::string text) {
  return [text = std::move(text)](int connection) {
    send_text(connection, text);
    read_to_end(connection);
  };
}

TcpServer::Serve echo(std::string label) {
  return [label = std::move(label)](int connection) {
    send_text(connection, label + "|" + read_once(connection));
  };
}

std::string exchange(const Slot& slot,
                     const char* address,
                     std::uint16_t port,
                     const std::string& text) {
  auto client = connect_from(slot.netns.get(), address, port);
  if (!client) return "(not connected)";
  send_text(client->get(), text);
  ::shutdown(client->get(), SHUT_WR);
  std::string answer = read_to_end(client->get());
  return answer == "(reset)" ? "" : answer;
}

World::World(SwitchPorts ports) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "sandlot-netfilter-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  directory = pattern;
  // A machine of its own for every world, whatever ran before in this process.
  if (::unshare(CLONE_NEWNET) != 0) std::abort();
  machine = need(base::open_file("/proc/thread-self/ns/net", O_RDONLY), "own namespace");
  make_internet(*this);
  network = need(SwitchNamespace::create(directory, ports), "switch");
  a = need(make_slot(*network, 1, 1), "slot a");
  b = need(make_slot(*network, 2, 2), "slot b");
}

World::~World() {
  network.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

}  // namespace netfilter::tests
