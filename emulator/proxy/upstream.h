// Connections into sandboxes: a socket is opened inside the sandbox's network namespace and
// connected to loopback there (contract-network 3.9), refused dials are tried again for a while
// (0.11, 5.9), idle connections are kept for a moment and re-used. Used by the relay. Does not know
// HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/proxy/channel.h"
#include "emulator/proxy/sandbox_directory.h"

namespace emulator::proxy {

// Opens a stream socket of `family` (AF_INET, AF_INET6) inside the network namespace; blocking,
// called on a thread of the dialer's own. In the product netfilter::open_socket_in; in tests plain
// socket().
using SocketOpener = std::function<base::Result<base::UniqueFd>(int netns_fd, int family)>;

// One port of one sandbox lifecycle, and its idle connections. The newest is re-used first.
class Upstream {
 public:
  Upstream(const SandboxRoute& route, std::uint64_t port);

  const std::string& id() const { return id_; }
  std::uint64_t port() const { return port_; }
  const std::shared_ptr<LiveConnections>& lifecycle() const { return lifecycle_; }
  const IngressRules& ingress() const { return *ingress_; }
  // Killed or paused since.
  bool closed() const { return lifecycle_->closed(); }

  // An idle connection that looks alive, or null.
  std::shared_ptr<Channel> take_idle();
  void put_idle(std::shared_ptr<Channel> channel);
  // A server that serves one connection at a time and keeps it open leaves new connections
  // unanswered until we let go of the old one. So a new connection's first request is noted from
  // being sent until its answer begins; while one has waited for too long, nothing is kept idle.
  using Question = std::list<std::chrono::steady_clock::time_point>::iterator;
  void answered(Question question) { unanswered_.erase(question); }

  // Closes connections that have been idle for more than one call of this. False: none is left.
  bool age();

 private:
  friend class Dialer;
  struct Idle {
    std::shared_ptr<Channel> channel;
    int age = 0;
  };
  std::string id_;
  std::uint64_t port_;
  std::shared_ptr<const base::UniqueFd> netns_;
  std::shared_ptr<const IngressRules> ingress_;
  std::string address_;
  std::size_t first_candidate_ = 0;  // the address that answered last
  std::shared_ptr<LiveConnections> lifecycle_;
  bool starving() const;
  void close_idle();

  std::vector<Idle> idle_;
  std::list<std::chrono::steady_clock::time_point> unanswered_;  // when asked, oldest first
  LiveConnections::Registration registration_;
};

// Dials, and holds the Upstreams of live sandboxes.
class Dialer {
 public:
  Dialer(boost::asio::any_io_executor executor, SocketOpener open, std::size_t threads = 2);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  std::shared_ptr<Upstream> find(const SandboxRoute& route, std::uint64_t port);
  // One attempt at every address. kNotFound: refused by all (may be tried again); kUnavailable: no
  // socket.
  base::Task<std::shared_ptr<Channel>> dial(std::shared_ptr<Upstream> upstream);
  // The first request was sent on a new connection; the Upstream is told when it is answered.
  Upstream::Question asked(const std::shared_ptr<Upstream>& upstream);
  // Hands a connection back for re-use.
  void keep(const std::shared_ptr<Upstream>& upstream, std::shared_ptr<Channel> channel);
  // Closes every idle connection.
  void stop();

 private:
  void arm_sweep();
  void arm_patience();

  boost::asio::any_io_executor executor_;
  SocketOpener open_;
  base::BlockingPool pool_;
  std::map<std::pair<LiveConnections*, std::uint64_t>, std::shared_ptr<Upstream>> upstreams_;
  boost::asio::steady_timer sweep_;
  boost::asio::steady_timer patience_;
  bool sweeping_ = false;
  bool waiting_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace emulator::proxy
