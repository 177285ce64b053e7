// Receives DNS queries by UDP and TCP and sends what `answer` makes of them. Shared by the
// forwarder and the embedded server; knows nothing of where answers come from.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/task_group.h"
#include "emulator/base/unique_fd.h"
#include "emulator/dns/message.h"
#include "emulator/dns/share.h"
#include "emulator/dns/upstream.h"

namespace emulator::dns {

// An empty answer is not sent. By UDP, one that is longer than the client takes is cut (records.h).
using Answer = std::function<boost::asio::awaitable<Bytes>(
    Bytes query, Transport transport, boost::asio::ip::address client)>;

// What a stream has carried, with the lengths between the messages; the owner's.
struct StreamBytes {
  std::uint64_t& questions;
  std::uint64_t& answers;
};

class Listener {
 public:
  Listener(boost::asio::any_io_executor executor, Answer answer);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Serves a bound UDP socket, or a listening TCP socket, of the family that it has.
  base::Result<> serve_udp(base::UniqueFd socket);
  base::Result<> serve_tcp(base::UniqueFd socket);
  // Serves one connection until it ends or rests for ten seconds; closes it at once if its client,
  // or all together, have too many (Share). `stream` must outlive the await.
  boost::asio::awaitable<void> serve_stream(boost::asio::ip::tcp::socket& stream,
                                            StreamBytes bytes);
  // Closes the sockets and waits for what is being answered. Before destruction.
  boost::asio::awaitable<void> stop();

 private:
  using UdpSocket = boost::asio::ip::udp::socket;
  using Acceptor = boost::asio::ip::tcp::acceptor;
  boost::asio::awaitable<void> receive(UdpSocket& socket);
  boost::asio::awaitable<void> reply(UdpSocket& socket,
                                     Bytes query,
                                     boost::asio::ip::udp::endpoint client);
  boost::asio::awaitable<void> accept(Acceptor& acceptor);
  boost::asio::awaitable<void> serve_accepted(boost::asio::ip::tcp::socket stream);

  boost::asio::any_io_executor executor_;
  Answer answer_;
  Share questions_;  // by UDP
  Share streams_;
  std::list<UdpSocket> udp_;
  std::list<Acceptor> tcp_;
  base::TaskGroup tasks_;
};

// A socket bound to the address, in the calling thread's network namespace; listening when `type`
// is SOCK_STREAM.
base::Result<base::UniqueFd> bind_socket(const std::string& address, std::uint16_t port, int type);
// Binds (and listens on) a socket that exists already, wherever it lives.
base::Result<> bind_to(int socket, const std::string& address, std::uint16_t port, int type);

}  // namespace emulator::dns
