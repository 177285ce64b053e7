// The listening sockets of one port: loopback in both families, or the given address. Hands
// accepted sockets to the front door. Used by the application, once or twice (a second one for a
// TLS-only port).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/task_group.h"
#include "emulator/proxy/front_door.h"

namespace emulator::proxy {

struct ListenOptions {
  std::string address;     // "" = 127.0.0.1 and ::1; clients try ::1 first (contract-network 5.7)
  std::uint16_t port = 0;  // 0 = any free one, the same in both families
  bool tls_only = false;
  // For connections that come out of sandboxes: they reach public URLs and nothing else.
  bool from_sandboxes = false;
};

class Listener {
 public:
  // Binds and listens; nothing is accepted before start(). kAlreadyExists: "port 7463 is in use".
  // `door` outlives the listener.
  static base::Result<std::unique_ptr<Listener>> open(const boost::asio::any_io_executor& executor,
                                                      FrontDoor& door,
                                                      const ListenOptions& options);
  void start();
  std::uint16_t port() const { return port_; }
  // Accepts no more; what is being served is the front door's to stop.
  boost::asio::awaitable<void> stop();

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;
  Listener(boost::asio::any_io_executor executor, FrontDoor& door, const ListenOptions& options);
  base::Result<> bind(const std::vector<boost::asio::ip::address>& addresses, std::uint16_t port);
  static boost::asio::awaitable<void> accept_loop(Listener* self, Acceptor* acceptor);

  FrontDoor& door_;
  bool tls_only_;
  bool from_sandboxes_;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  base::TaskGroup tasks_;
};

}  // namespace emulator::proxy
