// One client connection, from its first byte to its last: TLS or not, request after request, each
// to where its host says. Private to the front door.
#pragma once

#include <memory>
#include <optional>

#include "emulator/proxy/error_pages.h"
#include "emulator/proxy/front_door.h"

namespace emulator::proxy {

class Session {
 public:
  Session(FrontDoor& door, boost::asio::ip::tcp::socket socket, bool tls_only, bool from_sandbox);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  boost::asio::awaitable<void> run();
  // Closes the connection; run() then ends.
  void abort();
  // One tick of the idle sweep; closes a connection that has been idle for too many.
  void tick();

 private:
  boost::asio::awaitable<bool> begin();
  // The size of the next head in data(), or 0 when the connection ends (answered, if it had to be).
  boost::asio::awaitable<std::size_t> next_head();
  // The handlers below: true = the connection goes on.
  boost::asio::awaitable<bool> serve_request(std::size_t head_size);
  enum class Faulted { kNo, kAnswered, kEnd };
  // What somebody wants to happen to this request instead of, or before, what should.
  boost::asio::awaitable<Faulted> suffer(const Target& target, std::size_t head_size);
  boost::asio::awaitable<bool> to_handler(const fakeapi::http::Handler& handler);
  boost::asio::awaitable<bool> to_sandbox(Target target, std::size_t head_size);
  // The answer to a request without the sandbox's traffic token; nullopt: it may pass.
  // Makes a paused sandbox go on; the page that says why it does not.
  boost::asio::awaitable<std::optional<ErrorPage>> wake(const SandboxRoute& route, Target target);
  std::optional<ErrorPage> token_page(const IngressRules& rules, const Target& target) const;
  boost::asio::awaitable<bool> relay(std::shared_ptr<Upstream> upstream, std::size_t head_size);
  // Answers the request at the front of data() and takes it off, body included.
  boost::asio::awaitable<bool> answer(ErrorPage page, std::size_t head_size);
  // Answers and ends the connection.
  boost::asio::awaitable<void> refuse(int status, std::string_view sentence);
  boost::asio::awaitable<void> send_page(const ErrorPage& page, bool head_request, bool keep_alive);
  // Lets the client read our answer before the connection ends: closing with unread bytes would
  // reset it.
  boost::asio::awaitable<void> linger();
  Asker asker() const;

  FrontDoor& door_;
  std::shared_ptr<Channel> client_;
  std::shared_ptr<Relay> relay_;
  WireHead head_;
  bool tls_only_;
  bool from_sandbox_;
  bool idle_ = true;
  bool aborted_ = false;
  int idle_ticks_ = 0;
  int status_ = 0;  // of the last answer of our own
};

}  // namespace emulator::proxy
