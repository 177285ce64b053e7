#include "emulator/proxy/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"

namespace emulator::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Errc;
using base::kUse;

namespace {

constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kShortageWait{100};

base::Failure bind_failure(const boost::system::error_code& error,
                           const asio::ip::address& address,
                           std::uint16_t port) {
  std::string where = address.to_string() + " port " + std::to_string(port);
  if (error == asio::error::address_in_use) {
    return base::fail(base::Error(Errc::kAlreadyExists,
                                  "port " + std::to_string(port) + " is in use (" + where + ")",
                                  error.value()));
  }
  return base::fail(base::os_error("listen on " + where, error.value()));
}

}  // namespace

Listener::Listener(asio::any_io_executor executor, FrontDoor& door, const ListenOptions& options)
    : door_(door),
      tls_only_(options.tls_only),
      from_sandboxes_(options.from_sandboxes),
      tasks_(std::move(executor)) {}

base::Result<std::unique_ptr<Listener>> Listener::open(const asio::any_io_executor& executor,
                                                       FrontDoor& door,
                                                       const ListenOptions& options) {
  std::vector<asio::ip::address> addresses = {asio::ip::address_v4::loopback(),
                                              asio::ip::address_v6::loopback()};
  if (!options.address.empty()) {
    boost::system::error_code error;
    auto address = asio::ip::make_address(strip_port(options.address), error);
    if (error) return base::fail(Errc::kInvalidArgument, "not an address: " + options.address);
    addresses = {address};
  }
  // With port 0 the second family may find the first one's port taken: try others.
  for (int attempt = 0;; ++attempt) {
    std::unique_ptr<Listener> listener(new Listener(executor, door, options));
    for (std::size_t n = 0; n < addresses.size(); ++n)
      listener->acceptors_.push_back(std::make_unique<Acceptor>(executor));
    auto bound = listener->bind(addresses, options.port);
    if (bound) return listener;
    bool again = options.port == 0 && attempt < 20 && bound.error().code() == Errc::kAlreadyExists;
    if (!again) return base::fail(std::move(bound).error());
  }
}

base::Result<> Listener::bind(const std::vector<asio::ip::address>& addresses, std::uint16_t port) {
  port_ = port;
  for (std::size_t n = 0; n < addresses.size(); ++n) {
    Acceptor& acceptor = *acceptors_[n];
    tcp::endpoint endpoint(addresses[n], port_);
    boost::system::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && addresses[n].is_loopback())
      base::use_local_congestion_control(acceptor.native_handle());
    if (!error) ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
    // A wildcard v6 address takes v4 clients as well.
    if (!error && addresses[n].is_v6()) {
      acceptor.set_option(asio::ip::v6_only(!addresses[n].is_unspecified()), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(kBacklog, error);
    if (!error) acceptor.native_non_blocking(true, error);
    // A machine without IPv6: v4 alone will do.
    if (n > 0 &&
        (error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL)) {
      base::log::warn("listener.no_ipv6", {{"address", addresses[n].to_string()}});
      acceptors_[n]->close(error);
      continue;
    }
    if (error) return bind_failure(error, addresses[n], port_);
    if (port_ == 0) port_ = acceptor.local_endpoint(error).port();
  }
  return {};
}

void Listener::start() {
  for (auto& acceptor : acceptors_) {
    if (acceptor->is_open()) tasks_.spawn("proxy.accept", accept_loop(this, acceptor.get()));
  }
}

asio::awaitable<void> Listener::accept_loop(Listener* self, Acceptor* acceptor) {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto executor = co_await asio::this_coro::executor;
  while (acceptor->is_open()) {
    auto [error] = co_await acceptor->async_wait(Acceptor::wait_read, kUse);
    if (error) break;
    for (;;) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      int fd = ::accept4(acceptor->native_handle(), reinterpret_cast<sockaddr*>(&from), &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        // Out of descriptors or memory: others give some back; clients wait in the backlog.
        base::log::warn("listener.shortage", {{"error", base::os_error("accept").message()}});
        co_await base::sleep_for(kShortageWait);
        if (!acceptor->is_open()) co_return;
        continue;
      }
      if (fd < 0) break;  // EAGAIN, or an error of one connection (accept(2))
      tcp::socket socket(executor);
      boost::system::error_code bad;
      socket.assign(from.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), fd, bad);
      if (bad) {
        ::close(fd);
      } else {
        self->door_.accept(std::move(socket), self->tls_only_, self->from_sandboxes_);
      }
    }
  }
}

asio::awaitable<void> Listener::stop() {
  boost::system::error_code ignored;
  for (auto& acceptor : acceptors_) acceptor->close(ignored);
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace emulator::proxy
