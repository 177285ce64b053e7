#include "emulator/intercept/exchange.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/async.h"
#include "fakeapi/http/connection.h"

namespace emulator::intercept {

namespace asio = boost::asio;
using base::kUse;
using fakeapi::http::BodyScanner;
using proxy::Channel;

namespace {

constexpr std::size_t kRequestHeadLimit = 64U << 10U;
constexpr std::size_t kResponseHeadLimit = 256U << 10U;
// A client that sends requests without reading answers waits after so many.
constexpr std::size_t kPipelineLimit = 32;
constexpr auto kLinger = std::chrono::seconds(2);

}  // namespace

Exchange::Exchange(std::shared_ptr<Channel> client,
                   std::shared_ptr<Channel> server,
                   Editor editor,
                   Traffic traffic)
    : client_(std::move(client)),
      server_(std::move(server)),
      editor_(std::move(editor)),
      traffic_(traffic),
      changed_(client_->executor()),
      linger_(client_->executor()) {}

asio::awaitable<void> Exchange::run() {
  using asio::experimental::awaitable_operators::operator&&;
  co_await (requests() && responses());
  linger_.cancel();
  client_->close(false);
  server_->close(false);
}

void Exchange::abort() {
  over_ = was_reset_ = true;
  client_->close(true);
  server_->close(true);
  notify();
}

void Exchange::finish(bool whole) {
  over_ = true;
  server_->close(false);
  client_->finish_writing(whole);
  linger_.expires_after(kLinger);
  linger_.async_wait([client = client_](const boost::system::error_code& error) {
    if (!error) client->close(false);
  });
  // Whoever waits for more of the client goes on, and finds that it is over.
  client_->wake();
  notify();
}

void Exchange::notify() {
  changed_.cancel();
}

asio::awaitable<void> Exchange::wait() {
  changed_.expires_at(asio::steady_timer::time_point::max());
  co_await changed_.async_wait(kUse);
}

asio::awaitable<bool> Exchange::send(Channel& to, std::string_view bytes, std::uint64_t& count) {
  auto sent = to.send(bytes);
  if (sent == Channel::Sent::kPartly) sent = co_await to.drain();
  traffic_.last_activity = std::chrono::steady_clock::now();
  if (sent == Channel::Sent::kAll) count += bytes.size();
  co_return sent == Channel::Sent::kAll;
}

// The size of the head that data() begins with; 0: there will be none.
asio::awaitable<std::size_t> Exchange::next_head(Channel& from, std::size_t limit) {
  std::size_t scanned = 0;
  for (;;) {
    // RFC 9112 2.2: empty lines before a request line are ignored.
    while (from.data().starts_with("\r\n")) from.consume(2);
    std::size_t size = proxy::find_head_end(from.data(), scanned);
    if (size > 0) co_return size > limit ? 0U : size;
    if (over_ || from.ended() || from.data().size() > limit) co_return 0U;
    co_await from.more();
  }
}

asio::awaitable<bool> Exchange::pass_body(Channel& from,
                                          Channel& to,
                                          fakeapi::http::BodyFraming framing,
                                          std::uint64_t& count) {
  BodyScanner body(framing);
  while (!body.done()) {
    auto size = body.skip(from.data());
    if (!size) co_return false;
    if (*size > 0) {
      if (!co_await send(to, from.data().substr(0, *size), count)) co_return false;
      from.consume(*size);
    }
    if (body.done()) break;
    if (from.ended() && from.data().empty()) co_return body.until_close() && from.ended_by_peer();
    if (from.data().empty()) co_await from.more();
  }
  co_return true;
}

asio::awaitable<void> Exchange::tunnel(Channel& from, Channel& to, std::uint64_t& count) {
  for (;;) {
    std::size_t size = from.data().size();
    if (size > 0) {
      if (!co_await send(to, from.data().substr(0, size), count)) co_return abort();
      from.consume(size);
    }
    if (from.ended() && from.data().empty()) break;
    if (!from.data().empty()) continue;
    co_await from.more();
  }
  if (!from.ended_by_peer()) co_return abort();
  to.finish_writing(from.ended_cleanly());
}

// Takes what still comes, so that the end of the connection does not swallow what the client has
// not read yet.
asio::awaitable<void> Exchange::discard() {
  while (!client_->ended()) {
    client_->consume(client_->data().size());
    co_await client_->more();
  }
}

asio::awaitable<void> Exchange::refuse(std::string_view reason, std::string_view status) {
  // Answers come in the order of the questions: with one outstanding there is nothing to say.
  if (!asked_.empty()) co_return abort();
  std::string text = std::string(status) + ": " + std::string(reason) + "\n";
  std::string answer =
      "HTTP/1.1 " + std::string(status) +
      "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(text.size()) +
      "\r\nConnection: close\r\n\r\n" + text;
  std::uint64_t uncounted = 0;  // not the server's
  co_await send(*client_, answer, uncounted);
  finish();
  co_await discard();
}

asio::awaitable<void> Exchange::requests() {
  for (;;) {
    std::size_t size = co_await next_head(*client_, kRequestHeadLimit);
    if (over_) co_return co_await discard();
    if (size == 0) break;
    if (!co_await request(size)) co_return;
  }
  client_ended_ = client_->ended();
  if (!client_ended_ || !client_->data().empty()) {
    co_await refuse("the head of the request is too long, or not complete");
  } else if (!client_->ended_by_peer()) {
    abort();
  } else if (asked_.empty()) {
    finish();
  } else {
    server_->finish_writing(client_->ended_cleanly());
  }
}

asio::awaitable<bool> Exchange::request(std::size_t head_size) {
  std::string_view bytes = client_->data().substr(0, head_size);
  auto parsed = proxy::parse_request(bytes, request_);
  if (!parsed || request_.method == "CONNECT") {
    // Named first: g++ 12 destroys what a conditional makes inside co_await twice.
    const std::string reason = parsed ? "CONNECT" : parsed.error().message();
    co_await refuse(reason);
    co_return false;
  }
  Edits edits = editor_(request_.host);
  if (!edits.problem.empty()) {
    co_await refuse(edits.problem, "502 Bad Gateway");
    co_return false;
  }
  std::string head = edited_head(bytes, request_, edits);
  bool upgrade = !request_.upgrade.empty();
  Asked asked{request_.method == "HEAD"};
  auto framing = request_.framing;
  client_->consume(head_size);
  while (asked_.size() >= kPipelineLimit && !over_) co_await wait();
  asked_.push_back(asked);
  bool sent = co_await send(*server_, head, traffic_.sent);
  if (sent) sent = co_await pass_body(*client_, *server_, framing, traffic_.sent);
  if (!sent) {
    // A server that takes no more may have answered; a client that leaves in the middle has not
    // asked.
    if (client_->ended() && !over_) abort();
    co_await discard();
    co_return false;
  }
  if (!upgrade) co_return true;
  while (!asked_.empty() && !tunnelling_ && !over_) co_await wait();
  if (!tunnelling_) co_return true;
  co_await tunnel(*client_, *server_, traffic_.sent);
  co_return false;
}

asio::awaitable<void> Exchange::responses() {
  for (;;) {
    std::size_t size = co_await next_head(*server_, kResponseHeadLimit);
    if (over_) co_return;
    if (size == 0) break;
    if (!co_await response(size)) co_return;
    if (client_ended_ && asked_.empty()) co_return finish();
  }
  // With nothing outstanding, an end that TLS did not announce takes nothing away.
  bool ended = server_->ended_cleanly() || (server_->ended_by_peer() && asked_.empty());
  if (ended && server_->data().empty()) {
    finish();
  } else {
    abort();
  }
}

asio::awaitable<bool> Exchange::response(std::size_t head_size) {
  std::string_view bytes = server_->data().substr(0, head_size);
  bool asked_head = !asked_.empty() && asked_.front().head;
  if (!proxy::parse_response(bytes, asked_head, response_)) {
    abort();
    co_return false;
  }
  int status = response_.status;
  bool keep_alive = response_.keep_alive && !asked_.empty();
  auto framing = response_.framing;
  if (!co_await send(*client_, bytes, traffic_.received)) {
    abort();
    co_return false;
  }
  server_->consume(head_size);
  if (status == 101) {
    tunnelling_ = true;
    notify();
    co_await tunnel(*server_, *client_, traffic_.received);
    co_return false;
  }
  if (status < 200) co_return true;
  if (!co_await pass_body(*server_, *client_, framing, traffic_.received)) {
    abort();
    co_return false;
  }
  if (!asked_.empty()) asked_.pop_front();
  notify();
  bool until_close = framing.kind == fakeapi::http::BodyFraming::Kind::kUntilClose;
  if (!keep_alive) finish(!until_close || server_->ended_cleanly());
  co_return keep_alive;
}

}  // namespace emulator::intercept
