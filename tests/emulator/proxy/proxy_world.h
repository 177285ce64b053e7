// A front door on a free loopback port with its loop on a thread, servers that stand for what runs
// in a sandbox, and clients that speak bytes. The "network namespace" of every sandbox is the
// test's own. Blocking sockets with a 5 s limit: what hangs fails.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "emulator/base/unique_fd.h"
#include "emulator/proxy/front_door.h"
#include "emulator/proxy/listener.h"

namespace tests {

// A blocking TCP connection.
class Peer {
 public:
  explicit Peer(base::UniqueFd fd);
  // To 127.0.0.1.
  static Peer connect(std::uint16_t port);

  void send(std::string_view bytes);
  // Up to and including `mark`; what came before the connection ended otherwise.
  std::string read_until(std::string_view mark);
  std::string read_exactly(std::size_t count);
  // Everything until the end of the stream.
  std::string read_all();
  std::string read_head() { return read_until("\r\n\r\n"); }
  // A response with Content-Length, head and body.
  std::string read_response();
  // What recv says now: "data", "end", "reset", "nothing" (timed out after `seconds`).
  std::string next_event(double seconds = 5);
  void finish_writing();
  void close(bool reset = false);
  void set_limit(double seconds);
  int fd() const { return fd_.get(); }

 private:
  bool fill();
  base::UniqueFd fd_;
  std::string buffer_;
};

// Listens on a loopback address and runs `serve` for each connection on a thread of its own.
class Server {
 public:
  using Serve = std::function<void(Peer&)>;
  explicit Server(Serve serve, std::uint16_t port = 0, bool v6 = false);
  ~Server();
  std::uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }

 private:
  void accept_loop();
  Serve serve_;
  base::UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::vector<int> open_;
  std::thread loop_;
};

// A port on which nothing listens.
std::uint16_t free_port();

class World : public emulator::proxy::SandboxDirectory {
 public:
  // `open` defaults to plain socket().
  explicit World(emulator::proxy::FrontDoorOptions options = {},
                 const emulator::proxy::TlsContext* tls = nullptr,
                 emulator::proxy::SocketOpener open = nullptr);
  ~World() override;

  std::uint16_t port() const { return port_; }
  Peer client() const { return Peer::connect(port_); }
  // Another door to the same, as sandboxes have it: its port.
  std::uint16_t open_for_sandboxes();
  std::shared_ptr<emulator::proxy::LiveConnections> add_sandbox(const std::string& id,
                                                                bool paused = false);
  void set_ingress(const std::string& id, emulator::proxy::IngressRules rules);
  void set_netns(const std::string& id,
                 std::shared_ptr<const base::UniqueFd> netns,
                 const std::string& address = "127.0.0.1");
  // On the loop: cuts its connections and forgets it.
  void kill(const std::string& id);
  void on_loop(std::function<void()> work) const;

  std::optional<emulator::proxy::SandboxRoute> route(std::string_view id) const override;
  // Makes it go on; or fails with `resume_failure`.
  base::Task<> resume(std::string id) override;
  // From now on it is paused until a request comes.
  void pause_until_traffic(const std::string& id);
  std::optional<base::Error> resume_failure;
  std::atomic<int> resumed = 0;

  mutable std::atomic<int> routed = 0;
  std::atomic<int> sockets_opened = 0;
  std::vector<emulator::proxy::RequestRecord> requests;  // of the control plane

 private:
  mutable boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::map<std::string, emulator::proxy::SandboxRoute, std::less<>> sandboxes_;
  std::map<std::string, std::shared_ptr<emulator::proxy::IngressRules>> ingress_;
  std::unique_ptr<emulator::proxy::FrontDoor> door_;
  std::unique_ptr<emulator::proxy::Listener> listener_;
  std::unique_ptr<emulator::proxy::Listener> for_sandboxes_;
  std::uint16_t port_ = 0;
  std::thread loop_;
};

// "GET <path> HTTP/1.1" to a port of sandbox "abc".
std::string get(std::uint16_t port, const std::string& path = "/", const std::string& headers = "");

}  // namespace tests
