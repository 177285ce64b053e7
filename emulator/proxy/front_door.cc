#include "emulator/proxy/front_door.h"

#include <vector>

#include <boost/asio/this_coro.hpp>

#include "emulator/proxy/session.h"

namespace emulator::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::chrono::seconds kIdleSweep{30};

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

}  // namespace

FrontDoor::FrontDoor(const asio::any_io_executor& executor,
                     FrontDoorOptions options,
                     FrontDoorParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      dialer_(executor, parts_.open_socket),
      tasks_(executor),
      idle_sweep_(executor) {
  options_.names.domain = lower(std::string(strip_port(options_.names.domain)));
}

FrontDoor::~FrontDoor() {
  *alive_ = false;
}

void FrontDoor::accept(tcp::socket socket, bool tls_only, bool from_sandbox) {
  if (stopping_) return;
  tasks_.spawn("proxy.connection", serve(this, std::move(socket), tls_only, from_sandbox));
  arm_idle_sweep();
}

asio::awaitable<void> FrontDoor::serve(FrontDoor* door,
                                       tcp::socket socket,
                                       bool tls_only,
                                       bool from_sandbox) {
  // Cancelled operations report; only handlers of the APIs are stopped by an exception.
  co_await asio::this_coro::throw_if_cancelled(false);
  Session session(*door, std::move(socket), tls_only, from_sandbox);
  if (!door->stopping_) co_await session.run();
}

void FrontDoor::arm_idle_sweep() {
  if (sweeping_) return;
  sweeping_ = true;
  idle_sweep_.expires_after(kIdleSweep);
  idle_sweep_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive) return;
    sweeping_ = false;
    if (error || stopping_) return;
    std::vector<Session*> sessions(sessions_.begin(), sessions_.end());
    for (Session* session : sessions) session->tick();
    if (!sessions.empty()) arm_idle_sweep();
  });
}

asio::awaitable<void> FrontDoor::stop() {
  stopping_ = true;
  idle_sweep_.cancel();
  tasks_.cancel();
  // Closing a connection only completes its operations later: the set does not change under us.
  std::vector<Session*> sessions(sessions_.begin(), sessions_.end());
  for (Session* session : sessions) {
    if (sessions_.contains(session)) session->abort();
  }
  co_await tasks_.join();
  dialer_.stop();
}

}  // namespace emulator::proxy
