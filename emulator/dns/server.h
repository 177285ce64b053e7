// The DNS server for clients on this machine: the emulator's domain and every name under it is this
// machine (A 127.0.0.1, AAAA ::1); other names go to the machine's resolvers. For systems whose
// resolver does not know
// *.localhost (contract-network 5.7), and for `sandlot exec`. Made by emulator/application.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "emulator/base/result.h"
#include "emulator/dns/listener.h"
#include "emulator/dns/upstream.h"

namespace emulator::dns {

class Server {
 public:
  // `domains` are lower case, without a dot at the end ("localhost", "sbx.localhost").
  Server(boost::asio::any_io_executor executor,
         std::vector<std::string> domains,
         ServerList servers);

  // UDP and TCP on one port of the address; may be called for several addresses. Port 0: the kernel
  // chooses. Returns the port. Errors: kInternal "bind ...: address already in use" and the like.
  base::Result<std::uint16_t> start(const std::string& address, std::uint16_t port);
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<Bytes> answer(Bytes query, Transport transport);
  bool is_ours(const std::string& name) const;

  std::vector<std::string> domains_;
  ServerList servers_;
  Listener listener_;
};

}  // namespace emulator::dns
