// An Interceptor between a client and a server on loopback ports, as the egress proxy would use it
// for connections to one name.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/task_group.h"
#include "emulator/intercept/interceptor.h"

namespace tests {

class Middle {
 public:
  // `tls`: on both sides; `roots` vouch for the server.
  explicit Middle(std::uint16_t server, bool tls = false, std::string roots = {});
  ~Middle();

  std::uint16_t port() const { return port_; }
  // In requests to a.test, from the next one on; an empty list: nothing is changed.
  void set(std::vector<std::pair<std::string, std::string>> headers);
  void use(emulator::intercept::HeaderRules rules);
  // As a policy that forbids the connection.
  void cut_all();
  // PEM of whoever signs what clients see.
  const std::string& authority() const { return authority_->pem(); }

  struct Ended {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    netfilter::egress::CloseReason reason{};
  };
  // Of the connections that are over; waits for `count` of them.
  std::vector<Ended> ended(std::size_t count);

 private:
  boost::asio::awaitable<void> accept();
  boost::asio::awaitable<void> carry(boost::asio::ip::tcp::socket client);
  void on_loop(std::function<void()> work);

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::filesystem::path directory_;
  std::unique_ptr<emulator::intercept::Authority> authority_;
  std::unique_ptr<emulator::intercept::Interceptor> interceptor_;
  std::shared_ptr<const emulator::intercept::HeaderRules> rules_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t server_;
  bool tls_;
  std::uint16_t port_ = 0;
  std::vector<netfilter::egress::Connection*> live_;
  std::mutex mutex_;
  std::vector<Ended> ended_;
  base::TaskGroup tasks_;
  std::thread loop_;
};

}  // namespace tests
