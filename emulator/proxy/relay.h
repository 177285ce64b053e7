// One client connection's way into sandboxes: request heads rewritten, bodies passed both ways at
// the same time, upgrades tunnelled, upstream connections re-used. Used by Session for every
// request to a sandbox. It answers nothing itself: what it could not deliver is an Outcome that
// Session words.
//   source  contract-network 3.8 (headers, streaming, upgrades), 5.9 (dial retry),
//   contract-envd 5.10 (cut)
#pragma once

#include <memory>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "emulator/base/task_group.h"
#include "emulator/proxy/channel.h"
#include "emulator/proxy/upstream.h"
#include "emulator/proxy/wire_head.h"
#include "fakeapi/http/connection.h"

namespace emulator::proxy {

struct RelayLimits {
  std::chrono::milliseconds dial_budget{2000};  // how long refused dials are tried again
  std::size_t connections = 10'000;             // client connections per sandbox lifecycle
};

class Relay final : public std::enable_shared_from_this<Relay> {
 public:
  Relay(std::shared_ptr<Channel> client,
        Dialer& dialer,
        base::TaskGroup& tasks,
        base::PipePool& pipes,
        RelayLimits limits);

  enum class Outcome {
    kDone,        // a response was relayed; keep_alive() says whether the client may go on
    kPortClosed,  // nothing was sent anywhere; the request is still unread in the client's data()
    kGone,        // the sandbox ended first; as above
    kTooMany,     // as above
    kBadRequest,  // malformed body; as above
    kFailed,      // the upstream died, or was cut off, before its response head
    kAborted,     // the response is incomplete, or the client has left: break_off() the client
    kLinger,      // the response is complete, the request's body is not
  };
  // Relays one request. `request` was parsed from the first `head_size` bytes of client->data().
  boost::asio::awaitable<Outcome> run(std::shared_ptr<Upstream> upstream,
                                      const WireHead& request,
                                      std::size_t head_size);

  bool keep_alive() const { return keep_alive_; }
  int status() const { return response_.status; }  // of the last relayed response
  const std::shared_ptr<Upstream>& upstream() const { return upstream_; }
  // Closes the client's connection in the middle of a response. An ordinary close where the client
  // can tell (the head says how long the body is, or it is chunked), as the cloud's proxy does: a
  // reset is another error in many clients, which do not take it for the end of the sandbox. A
  // reset where a close would look like the end of the body.
  void break_off() { client_->close(end_looks_whole_); }
  // Ends what is going on; for the end of the front door.
  void abort();

 private:
  void pin(std::shared_ptr<Upstream> upstream);
  void cut();
  void watch_client();
  void client_left();
  boost::asio::awaitable<Outcome> dial();
  boost::asio::awaitable<Outcome> exchange(std::size_t head_size,
                                           std::size_t body_size,
                                           bool reused);
  // Reads until a final response head is parsed into response_ (interim ones go on to the client):
  // its size, or 0.
  boost::asio::awaitable<std::size_t> read_response_head();
  boost::asio::awaitable<Outcome> relay_response(std::size_t head_size);
  // Puts the next piece of the response body into out_ (framing) and the result (payload).
  bool next_piece(Reframe reframe,
                  fakeapi::http::BodyScanner& scanner,
                  std::string_view& payload,
                  std::size_t& consumed);
  boost::asio::awaitable<void> finish_upload(bool upstream_lives);
  boost::asio::awaitable<Outcome> tunnel(std::size_t head_size);
  // Moves up to `limit` bytes that nobody needs to see; false: `from` must be read instead.
  boost::asio::awaitable<bool> pass_on(Channel& from,
                                       Channel& to,
                                       std::uint64_t limit,
                                       std::uint64_t& count);
  // Sends to the client; false: it is gone.
  boost::asio::awaitable<bool> send_to_client(std::string_view first, std::string_view second);
  static boost::asio::awaitable<void> pump_upload(std::shared_ptr<Relay> self,
                                                  std::shared_ptr<Channel> upstream);
  static boost::asio::awaitable<void> pump_tunnel(std::shared_ptr<Relay> self,
                                                  std::shared_ptr<Channel> upstream);
  void upload_ended();

  std::shared_ptr<Channel> client_;
  Dialer& dialer_;
  base::TaskGroup& tasks_;
  base::PipePool& pipes_;
  RelayLimits limits_;

  std::shared_ptr<Upstream> upstream_;  // where the last request went
  LiveConnections::Registration registration_;
  std::shared_ptr<Channel> channel_;  // the upstream connection in use
  boost::asio::steady_timer pause_;   // between dials
  boost::asio::steady_timer upload_signal_;
  WireHead response_;
  std::string out_;
  unsigned steps_ = 0;               // of pass_on()
  fakeapi::http::BodyScanner body_;  // of the request

  bool in_exchange_ = false;      // bytes of a request may be on their way
  bool responding_ = false;       // the response's head may be on its way to the client
  bool end_looks_whole_ = false;  // the client takes the end of the connection for the response's
  bool cut_ = false;
  bool client_gone_ = false;
  bool uploading_ = false;
  bool stop_upload_ = false;
  bool head_request_ = false;
  bool client_keep_alive_ = true;
  bool expects_continue_ = false;
  bool body_started_ = false;  // a byte of the request's body has come
  int client_minor_version_ = 1;
  bool keep_alive_ = true;
};

}  // namespace emulator::proxy
