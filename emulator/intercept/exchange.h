// HTTP/1.1 between a client and a server whose connections belong together: request heads may be
// changed on their way, everything else passes as it came, both ways at the same time. Upgrades
// become tunnels. Used by Interceptor. Neither dials nor knows why a head is changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/intercept/header_rules.h"
#include "emulator/proxy/channel.h"
#include "emulator/proxy/wire_head.h"

namespace emulator::intercept {

// What has passed, without what is answered in the server's place; the owner's.
struct Traffic {
  std::uint64_t& sent;      // to the server
  std::uint64_t& received;  // to the client
  std::chrono::steady_clock::time_point& last_activity;
};

class Exchange {
 public:
  // What is to be changed in the next request for this Host.
  using Editor = std::function<Edits(std::string_view host)>;

  Exchange(std::shared_ptr<proxy::Channel> client,
           std::shared_ptr<proxy::Channel> server,
           Editor editor,
           Traffic traffic);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Until both sides are done with each other; both channels are closed then. Closing them from
  // outside ends it.
  boost::asio::awaitable<void> run();
  // Whether it ended because one side broke off, or had to be broken off.
  bool was_reset() const { return was_reset_; }

 private:
  struct Asked {
    bool head = false;  // HEAD: its response has no body
  };

  boost::asio::awaitable<void> requests();
  boost::asio::awaitable<void> responses();
  // One of each; false: the connection does not go on.
  boost::asio::awaitable<bool> request(std::size_t head_size);
  boost::asio::awaitable<bool> response(std::size_t head_size);
  boost::asio::awaitable<std::size_t> next_head(proxy::Channel& from, std::size_t limit);
  boost::asio::awaitable<bool> pass_body(proxy::Channel& from,
                                         proxy::Channel& to,
                                         fakeapi::http::BodyFraming framing,
                                         std::uint64_t& count);
  boost::asio::awaitable<void> tunnel(proxy::Channel& from,
                                      proxy::Channel& to,
                                      std::uint64_t& count);
  boost::asio::awaitable<bool> send(proxy::Channel& to,
                                    std::string_view bytes,
                                    std::uint64_t& count);
  boost::asio::awaitable<void> refuse(std::string_view reason,
                                      std::string_view status = "400 Bad Request");
  boost::asio::awaitable<void> discard();
  boost::asio::awaitable<void> wait();
  void notify();
  // Resets both: what was passed on is not whole.
  void abort();
  // The client reads to the end of what it was sent, but not for ever. `whole`: as far as anybody
  // can say, the server did not break off.
  void finish(bool whole = true);

  std::shared_ptr<proxy::Channel> client_;
  std::shared_ptr<proxy::Channel> server_;
  Editor editor_;
  Traffic traffic_;
  boost::asio::steady_timer changed_;  // cancelled by notify()
  boost::asio::steady_timer linger_;
  proxy::WireHead request_;
  proxy::WireHead response_;
  std::deque<Asked> asked_;  // and not answered yet
  bool client_ended_ = false;
  bool tunnelling_ = false;
  bool over_ = false;
  bool was_reset_ = false;
};

}  // namespace emulator::intercept
