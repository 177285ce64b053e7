// The first fork of every request that comes to the emulator's port: the cloud API, the control
// API, or a port of a sandbox. Speaks http and https on one port. Used by the application, which
// hands over accepted sockets through Listener. Knows neither what the APIs do nor where sandboxes
// come from.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/task_group.h"
#include "emulator/proxy/fault.h"
#include "emulator/proxy/relay.h"
#include "emulator/proxy/sandbox_directory.h"
#include "emulator/proxy/sandbox_host.h"
#include "emulator/proxy/tls.h"
#include "emulator/proxy/upstream.h"
#include "fakeapi/http/connection.h"

namespace emulator::proxy {

class Session;

// One answered request, for the log.
struct RequestRecord {
  std::string method;
  std::string path;  // as sent, without the query
  int status = 0;    // 0: the connection ended without an answer
  std::chrono::steady_clock::duration duration{};
  std::string sandbox;  // "" for the control plane
  std::string fault;    // the injected fault that answered, or cut; "" = none
};
using RequestHook = std::function<void(const RequestRecord&)>;

struct FrontDoorOptions {
  HostNames names;
  RelayLimits limits;
};

struct FrontDoorParts {
  SandboxDirectory& directory;
  SocketOpener open_socket;
  fakeapi::http::Handler cloud;     // control-plane hosts
  fakeapi::http::Handler control;   // paths under /_sandlot/ on control-plane hosts
  const TlsContext* tls = nullptr;  // null: no https
  // After each control-plane request, and after each that a fault answered or cut.
  RequestHook on_request = nullptr;
  RequestHook on_relayed = nullptr;  // after each request to a sandbox; costs time on the hot path
  FaultSource* faults = nullptr;     // null: none, ever
};

class FrontDoor {
 public:
  FrontDoor(const boost::asio::any_io_executor& executor,
            FrontDoorOptions options,
            FrontDoorParts parts);
  ~FrontDoor();
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  // Serves a client connection until its end. `tls_only`: plain http is refused. `from_sandbox`: so
  // is everything but ports of sandboxes.
  void accept(boost::asio::ip::tcp::socket socket,
              bool tls_only = false,
              bool from_sandbox = false);
  // Ends every connection and waits for the coroutines.
  boost::asio::awaitable<void> stop();
  std::size_t connections() const { return sessions_.size(); }

 private:
  friend class Session;
  static boost::asio::awaitable<void> serve(FrontDoor* door,
                                            boost::asio::ip::tcp::socket socket,
                                            bool tls_only,
                                            bool from_sandbox);
  void arm_idle_sweep();

  FrontDoorOptions options_;
  FrontDoorParts parts_;
  Dialer dialer_;
  base::PipePool pipes_;
  base::TaskGroup tasks_;
  std::unordered_set<Session*> sessions_;
  boost::asio::steady_timer idle_sweep_;
  bool sweeping_ = false;
  bool stopping_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace emulator::proxy
