// A machine, an internet and a switch with two slots, each a network namespace of this test process
// alone. The process itself is "the machine" (world_main.cc moves it into a fresh namespace before
// any thread exists), so nothing here touches the real one.
//
//   internet: 93.184.216.34, 1.1.1.1, and private 10.200.0.1 (all on lo, all answering)
//      | 203.0.113.1 - 203.0.113.2
//   machine (this process): the proxy dials from here; owns 198.51.100.7 as well
//   switch - slot a (10.71.0.1), slot b (10.71.0.2)
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "emulator/base/unique_fd.h"
#include "netfilter/network.h"

namespace netfilter::tests {

using std::chrono::milliseconds;

inline constexpr const char* kWebServer = "93.184.216.34";
inline constexpr const char* kPrivateServer = "10.200.0.1";
inline constexpr const char* kMachineAddress = "198.51.100.7";
inline constexpr milliseconds kPatience{5000};  // for what must happen
inline constexpr milliseconds kSilence{400};    // for what must not

sockaddr_in address_of(const std::string& address, std::uint16_t port);

// Blocking sockets with a receive time-out of kPatience, opened in the given namespace.
base::UniqueFd socket_in(int netns, int type, int protocol = 0);
// nullopt when the connection is not there within `patience`; errno says why (ETIMEDOUT).
std::optional<base::UniqueFd> connect_from(int netns,
                                           const std::string& address,
                                           std::uint16_t port,
                                           milliseconds patience = kPatience);
void send_text(int socket, const std::string& text);
// Everything until the end of the stream. "(reset)" or "(time-out)" is appended when it ends that
// way.
std::string read_to_end(int socket);
// One read.
std::string read_once(int socket);

// A TCP server on a thread; `serve` runs on it per connection, one after another.
class TcpServer {
 public:
  using Serve = std::function<void(int connection)>;
  TcpServer(int netns, const std::string& address, std::uint16_t port, Serve serve);
  ~TcpServer();
  int accepted() const { return accepted_; }

 private:
  base::UniqueFd listener_;
  Serve serve_;
  std::atomic<int> accepted_ = 0;
  std::thread thread_;
};

// A bound UDP socket that counts.
class UdpCanary {
 public:
  UdpCanary(int netns, const std::string& address, std::uint16_t port);
  // Whether a datagram arrives within `patience`.
  bool hears(milliseconds patience) const;

 private:
  base::UniqueFd socket_;
};
void send_datagram(int netns,
                   const std::string& address,
                   std::uint16_t port,
                   const std::string& text);

// Reads all, then answers "got <n> bytes" and closes: shows that a half-close travels both ways.
void answer_after_end(int connection);
// Says its name and waits for the client to hang up.
TcpServer::Serve greet(std::string text);

// Answers the first read with its label, and what it read.
TcpServer::Serve echo(std::string label);
// What the far end makes of `text`; "" = closed without a byte.
std::string exchange(const Slot& slot,
                     const char* address,
                     std::uint16_t port,
                     const std::string& text);

struct World {
  explicit World(SwitchPorts ports = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::string directory;
  base::UniqueFd machine;
  base::UniqueFd internet;
  std::unique_ptr<SwitchNamespace> network;
  Slot a;
  Slot b;
};

}  // namespace netfilter::tests
