#include "tests/emulator/proxy/proxy_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"

namespace tests {

namespace asio = boost::asio;
using namespace emulator::proxy;

Peer::Peer(base::UniqueFd fd) : fd_(std::move(fd)) {
  set_limit(5);
}

void Peer::set_limit(double seconds) {
  timeval limit{};
  limit.tv_sec = static_cast<time_t>(seconds);
  limit.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(limit.tv_sec)) * 1e6);
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

Peer Peer::connect(std::uint16_t port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return Peer(std::move(fd));
}

void Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool Peer::fill() {
  std::array<char, 65536> chunk{};
  ssize_t count = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (count <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

std::string Peer::read_until(std::string_view mark) {
  for (;;) {
    std::size_t at = buffer_.find(mark);
    if (at != std::string::npos || !fill()) {
      std::size_t size = at == std::string::npos ? buffer_.size() : at + mark.size();
      std::string found = buffer_.substr(0, size);
      buffer_.erase(0, size);
      return found;
    }
  }
}

std::string Peer::read_exactly(std::size_t count) {
  while (buffer_.size() < count && fill()) {
  }
  std::string found = buffer_.substr(0, count);
  buffer_.erase(0, found.size());
  return found;
}

std::string Peer::read_all() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

std::string Peer::read_response() {
  std::string head = read_head();
  std::size_t at = head.find("Content-Length: ");
  std::size_t length = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  return head + read_exactly(length);
}

std::string Peer::next_event(double seconds) {
  if (!buffer_.empty()) return "data";
  set_limit(seconds);
  char byte = 0;
  ssize_t count = ::recv(fd_.get(), &byte, 1, 0);
  int error = errno;
  set_limit(5);
  if (count == 1) {
    buffer_.push_back(byte);
    return "data";
  }
  if (count == 0) return "end";
  return error == EAGAIN ? "nothing" : "reset";
}

void Peer::finish_writing() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Peer::close(bool reset) {
  linger hard{1, 0};
  if (reset) setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  fd_.reset();
}

namespace {

base::UniqueFd listen_on(std::uint16_t& port, bool v6) {
  base::UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_storage address{};
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (v6) {
    auto* v6_address = reinterpret_cast<sockaddr_in6*>(&address);
    v6_address->sin6_family = AF_INET6;
    v6_address->sin6_port = htons(port);
    v6_address->sin6_addr = in6addr_loopback;
  } else {
    auto* v4_address = reinterpret_cast<sockaddr_in*>(&address);
    v4_address->sin_family = AF_INET;
    v4_address->sin_port = htons(port);
    v4_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  EXPECT_EQ(::bind(fd.get(), raw, size), 0) << std::strerror(errno);
  getsockname(fd.get(), raw, &size);
  port = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                  : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  return fd;
}

}  // namespace

std::uint16_t free_port() {
  std::uint16_t port = 0;
  listen_on(port, false);
  return port;
}

Server::Server(Serve serve, std::uint16_t port, bool v6) : serve_(std::move(serve)), port_(port) {
  listener_ = listen_on(port_, v6);
  ::listen(listener_.get(), 128);
  loop_ = std::thread([this] { accept_loop(); });
}

void Server::accept_loop() {
  for (;;) {
    base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    ++accepted_;
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    open_.push_back(::dup(fd.get()));
    threads_.emplace_back([this, raw = fd.release(), copy = open_.back()] {
      Peer peer{base::UniqueFd(raw)};
      serve_(peer);
      // The copy would keep the connection open.
      std::lock_guard guard(mutex_);
      std::erase(open_, copy);
      ::close(copy);
    });
  }
}

Server::~Server() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  loop_.join();
  {
    std::lock_guard lock(mutex_);
    for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
}

World::World(FrontDoorOptions options, const TlsContext* tls, SocketOpener open)
    : work_(context_.get_executor()) {
  auto cloud = [](const fakeapi::http::RequestHead& head,
                  fakeapi::http::ServerConnection& connection) -> asio::awaitable<void> {
    auto body = co_await connection.read_full_body(1U << 20U);
    fakeapi::http::Response response;
    response.status = 201;
    response.body = "cloud " + head.method + " " + head.target + " " + body.value_or("?");
    co_await connection.send(std::move(response));
  };
  auto control = [](const fakeapi::http::RequestHead&,
                    fakeapi::http::ServerConnection& connection) -> asio::awaitable<void> {
    fakeapi::http::Response response;
    response.body = "control";
    co_await connection.send(std::move(response));
  };
  auto plain = [this](int, int family) -> base::Result<base::UniqueFd> {
    ++sockets_opened;
    base::UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return base::fail_errno("socket");
    return fd;
  };
  if (!open) open = plain;
  FrontDoorParts parts{*this, open, cloud, control, tls, nullptr, nullptr};
  parts.on_request = [this](const RequestRecord& record) { requests.push_back(record); };
  door_ =
      std::make_unique<FrontDoor>(context_.get_executor(), std::move(options), std::move(parts));
  auto listener = Listener::open(context_.get_executor(), *door_, ListenOptions{});
  EXPECT_TRUE(listener.has_value());
  listener_ = std::move(*listener);
  port_ = listener_->port();
  listener_->start();
  loop_ = std::thread([this] { context_.run(); });
}

namespace {

asio::awaitable<void> stop_all(Listener* listener, Listener* for_sandboxes, FrontDoor* door) {
  co_await listener->stop();
  if (for_sandboxes != nullptr) co_await for_sandboxes->stop();
  co_await door->stop();
}

}  // namespace

World::~World() {
  std::promise<void> stopped;
  asio::co_spawn(context_, stop_all(listener_.get(), for_sandboxes_.get(), door_.get()),
                 [&stopped](const std::exception_ptr&) { stopped.set_value(); });
  bool joined =
      stopped.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  EXPECT_TRUE(joined) << "the front door did not stop";
  if (!joined) std::abort();
  work_.reset();
  context_.stop();
  loop_.join();
  EXPECT_EQ(door_->connections(), 0U);
}

std::uint16_t World::open_for_sandboxes() {
  on_loop([this] {
    ListenOptions options{.address = "127.0.0.1", .from_sandboxes = true};
    auto listener = Listener::open(context_.get_executor(), *door_, options);
    ASSERT_TRUE(listener.has_value());
    for_sandboxes_ = std::move(*listener);
    for_sandboxes_->start();
  });
  return for_sandboxes_->port();
}

void World::on_loop(std::function<void()> work) const {
  std::promise<void> done;
  asio::post(context_, [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

std::shared_ptr<LiveConnections> World::add_sandbox(const std::string& id, bool paused) {
  SandboxRoute sandbox;
  sandbox.id = id;
  sandbox.paused = paused;
  sandbox.address = "127.0.0.1";
  sandbox.connections = std::make_shared<LiveConnections>();
  auto ingress = std::make_shared<IngressRules>();
  sandbox.ingress = ingress;
  on_loop([&] {
    sandboxes_[id] = sandbox;
    ingress_[id] = ingress;
  });
  return sandbox.connections;
}

void World::set_ingress(const std::string& id, IngressRules rules) {
  on_loop([&] { *ingress_.at(id) = std::move(rules); });
}

void World::set_netns(const std::string& id,
                      std::shared_ptr<const base::UniqueFd> netns,
                      const std::string& address) {
  on_loop([&] {
    sandboxes_[id].netns = std::move(netns);
    sandboxes_[id].address = address;
  });
}

void World::kill(const std::string& id) {
  on_loop([&] {
    auto node = sandboxes_.extract(id);
    if (!node.empty()) node.mapped().connections->cut_all();
  });
}

std::optional<SandboxRoute> World::route(std::string_view id) const {
  ++routed;
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return std::nullopt;
  return found->second;
}

void World::pause_until_traffic(const std::string& id) {
  on_loop([&] {
    sandboxes_[id].paused = true;
    sandboxes_[id].auto_resume = true;
    sandboxes_[id].connections->cut_all();
  });
}

base::Task<> World::resume(std::string id) {
  co_await base::sleep_for(std::chrono::milliseconds(1));
  ++resumed;
  if (resume_failure) co_return base::fail(*resume_failure);
  sandboxes_[id].paused = false;
  sandboxes_[id].connections = std::make_shared<emulator::proxy::LiveConnections>();
  co_return base::Result<>();
}

std::string get(std::uint16_t port, const std::string& path, const std::string& headers) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + std::to_string(port) + "-abc.localhost\r\n" +
         headers + "\r\n";
}

}  // namespace tests
