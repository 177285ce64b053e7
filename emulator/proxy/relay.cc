#include "emulator/proxy/relay.h"

#include <array>
#include <charconv>
#include <limits>

#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"

namespace emulator::proxy {

namespace asio = boost::asio;
using base::kUse;
using fakeapi::http::BodyFraming;
using fakeapi::http::BodyScanner;

namespace {

// As much of a request's body as goes with its head; a request that fits can be sent again on
// another connection.
constexpr std::size_t kHeldBody = 64U << 10U;
constexpr std::size_t kResponseHeadLimit = 256U << 10U;
// From here on bytes are worth a pipe: what is left of a body, what a tunnel has carried.
constexpr std::uint64_t kBulk = 64U << 10U;
// A stream that never runs dry gives way to the others after this many steps.
constexpr unsigned kStepsPerTurn = 4;
constexpr std::string_view kNothing;

void append_chunk_size(std::string& out, std::size_t size) {
  std::array<char, 20> text{};
  auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), size, 16);
  out.append(text.data(), end).append("\r\n");
}

// 25, 50, 75, then 100 ms (contract-network 5.9).
std::chrono::milliseconds dial_step(int attempt) {
  return std::chrono::milliseconds(attempt < 3 ? 25 * (attempt + 1) : 100);
}

// A tunnel has no end in sight: what it has carried says whether it carries bulk.
std::uint64_t tunnel_bulk(std::uint64_t carried) {
  return carried < kBulk ? 0 : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

Relay::Relay(std::shared_ptr<Channel> client,
             Dialer& dialer,
             base::TaskGroup& tasks,
             base::PipePool& pipes,
             RelayLimits limits)
    : client_(std::move(client)),
      dialer_(dialer),
      tasks_(tasks),
      pipes_(pipes),
      limits_(limits),
      pause_(client_->executor()),
      upload_signal_(client_->executor()) {}

void Relay::pin(std::shared_ptr<Upstream> upstream) {
  if (upstream == upstream_) return;
  auto kind_of = [](const Upstream& of) {
    return of.port() == kDaemonPort ? LiveConnections::Kind::kOther
                                    : LiveConnections::Kind::kPublic;
  };
  bool same = upstream_ && upstream_->lifecycle() == upstream->lifecycle() &&
              kind_of(*upstream_) == kind_of(*upstream);
  upstream_ = std::move(upstream);
  if (same) return;
  registration_ = LiveConnections::Registration();
  registration_ = LiveConnections::add(
      upstream_->lifecycle(), [this] { cut(); }, kind_of(*upstream_));
}

// The sandbox was killed or paused. Between requests the client connection has nothing to lose and
// stays (it may be the very one that carries the kill); so does one whose response has not begun:
// there is still something to say on it.
void Relay::cut() {
  cut_ = true;
  pause_.cancel();
  bool reset = upstream_->lifecycle()->resets();
  if (responding_ || (in_exchange_ && reset)) client_->close(reset || end_looks_whole_);
  if (channel_) channel_->close(true);
}

void Relay::abort() {
  cut_ = true;
  pause_.cancel();
  client_->close(in_exchange_ && end_looks_whole_);
  if (channel_) channel_->close(false);
}

void Relay::client_left() {
  client_gone_ = true;
  pause_.cancel();
  if (channel_) channel_->close(true);
}

// A client that leaves ends its request, as in the cloud's proxy (Go cancels the request's context
// at EOF).
void Relay::watch_client() {
  if (client_->ended()) return client_left();
  client_->on_end([this] { client_left(); });
  client_->start_read();
}

asio::awaitable<Relay::Outcome> Relay::run(std::shared_ptr<Upstream> upstream,
                                           const WireHead& request,
                                           std::size_t head_size) {
  pin(std::move(upstream));
  const LiveConnections& lifecycle = *upstream_->lifecycle();
  if (lifecycle.size() > limits_.connections) {
    registration_ = LiveConnections::Registration();
    upstream_.reset();
    co_return Outcome::kTooMany;
  }
  cut_ = client_gone_ = stop_upload_ = uploading_ = responding_ = end_looks_whole_ = false;
  head_request_ = request.method == "HEAD";
  client_minor_version_ = request.minor_version;
  client_keep_alive_ = request.keep_alive;
  expects_continue_ = request.expects_continue;
  response_.status = 0;
  body_ = BodyScanner(request.framing);
  auto body_size = body_.skip(client_->data().substr(head_size, kHeldBody));
  if (!body_size) co_return Outcome::kBadRequest;
  body_started_ = *body_size > 0;
  // From here on `request` is not looked at: its views die when the client's buffer grows.
  out_.clear();
  write_request(request, out_, masked_host(upstream_->ingress(), upstream_->port()));

  // A body that is not all here cannot be sent twice: no connection that may be stale for it.
  if (body_.done()) channel_ = upstream_->take_idle();
  bool reused = channel_ != nullptr;
  bool redialled = false;
  for (;;) {
    if (!channel_) {
      Outcome dialled = co_await dial();
      if (dialled != Outcome::kDone) {
        client_->on_end(nullptr);
        co_return dialled;
      }
    }
    in_exchange_ = true;
    Outcome outcome = co_await exchange(head_size, *body_size, reused);
    in_exchange_ = responding_ = false;
    client_->on_end(nullptr);
    if (channel_) channel_->close(false);
    channel_.reset();
    // kPortClosed from an exchange: a kept connection had died before it was asked.
    if (outcome != Outcome::kPortClosed || redialled) co_return outcome;
    reused = false;
    redialled = true;
  }
}

// kDone: channel_ is connected.
asio::awaitable<Relay::Outcome> Relay::dial() {
  auto deadline = std::chrono::steady_clock::now() + limits_.dial_budget;
  watch_client();
  for (int attempt = 0;; ++attempt) {
    if (client_gone_) co_return Outcome::kAborted;
    if (upstream_->closed()) co_return Outcome::kGone;
    auto dialled = co_await dialer_.dial(upstream_);
    if (dialled) {
      channel_ = std::move(*dialled);
      if (upstream_->closed()) co_return Outcome::kGone;
      co_return Outcome::kDone;
    }
    bool hopeless = upstream_->port() == 0 || upstream_->port() > 65535;
    if (hopeless || std::chrono::steady_clock::now() >= deadline) co_return Outcome::kPortClosed;
    if (client_gone_ || upstream_->closed()) continue;
    pause_.expires_after(dial_step(attempt));
    co_await pause_.async_wait(kUse);
  }
}

asio::awaitable<Relay::Outcome> Relay::exchange(std::size_t head_size,
                                                std::size_t body_size,
                                                bool reused) {
  bool whole = body_.done();
  auto sent = channel_->send(out_, client_->data().substr(head_size, body_size));
  if (sent == Channel::Sent::kPartly) sent = co_await channel_->drain();
  if (whole) {
    watch_client();
  } else {
    client_->on_end(nullptr);
    client_->consume(head_size + body_size);
    uploading_ = true;
    tasks_.spawn("proxy.upload", pump_upload(shared_from_this(), channel_));
  }
  Upstream::Question question;
  if (!reused) question = dialer_.asked(upstream_);
  std::size_t size = co_await read_response_head();
  if (!reused) upstream_->answered(question);
  if (size == 0) {
    bool silent = channel_->data().empty();
    co_await finish_upload(false);
    if (client_gone_ || !client_->is_open()) co_return Outcome::kAborted;
    bool ended = cut_ || upstream_->closed();
    if (!ended && reused && whole && silent && response_.status == 0)
      co_return Outcome::kPortClosed;
    if (whole) client_->consume(head_size + body_size);
    co_return Outcome::kFailed;
  }
  if (whole) client_->consume(head_size + body_size);
  if (response_.status == 101) co_return co_await tunnel(size);
  co_return co_await relay_response(size);
}

asio::awaitable<std::size_t> Relay::read_response_head() {
  std::size_t scanned = 0;
  for (;;) {
    std::size_t size = find_head_end(channel_->data(), scanned);
    if (size == 0) {
      if (channel_->ended() || channel_->data().size() > kResponseHeadLimit) co_return 0U;
      co_await channel_->more();
      continue;
    }
    auto parsed = parse_response(channel_->data().substr(0, size), head_request_, response_);
    if (!parsed) {
      response_.status = 502;
      co_return 0U;
    }
    if (response_.status >= 200 || response_.status == 101) co_return size;
    // 100 Continue, 103 Early Hints.
    if (client_minor_version_ > 0) {
      out_.clear();
      write_response(response_, ResponseRewrite(), out_);
      if (!co_await send_to_client(out_, kNothing)) co_return 0U;
    }
    channel_->consume(size);
    scanned = 0;
  }
}

asio::awaitable<bool> Relay::send_to_client(std::string_view first, std::string_view second) {
  auto sent = client_->send(first, second);
  if (sent == Channel::Sent::kPartly) sent = co_await client_->drain();
  if (sent == Channel::Sent::kBroken) client_left();
  co_return sent == Channel::Sent::kAll;
}

asio::awaitable<bool> Relay::pass_on(Channel& from,
                                     Channel& to,
                                     std::uint64_t limit,
                                     std::uint64_t& count) {
  count = 0;
  if (limit < kBulk || !from.can_pass_on(to)) co_return false;
  base::Moved moved = co_await from.pass_on(to, limit, pipes_);
  count = moved.count;
  if (++steps_ % kStepsPerTurn == 0) co_await asio::post(kUse);
  co_return moved.end != base::Moved::End::kNoPipe;
}

bool Relay::next_piece(Reframe reframe,
                       BodyScanner& scanner,
                       std::string_view& payload,
                       std::size_t& consumed) {
  std::string_view data = channel_->data();
  payload = {};
  consumed = 0;
  if (scanner.done()) return true;
  if (reframe == Reframe::kToClose) {
    BodyScanner::Step step = scanner.next(data);
    payload = data.substr(step.payload_at, step.payload_size);
    consumed = step.consumed;
    return !step.malformed;
  }
  auto size = scanner.skip(data);
  if (!size) return false;
  payload = data.substr(0, *size);
  consumed = *size;
  if (reframe == Reframe::kToChunked && !payload.empty()) append_chunk_size(out_, payload.size());
  return true;
}

asio::awaitable<Relay::Outcome> Relay::relay_response(std::size_t head_size) {
  BodyScanner scanner(response_.framing);
  auto kind = response_.framing.kind;
  Reframe reframe = Reframe::kAsIs;
  if (client_minor_version_ > 0 && kind == BodyFraming::Kind::kUntilClose)
    reframe = Reframe::kToChunked;
  if (client_minor_version_ == 0 && kind == BodyFraming::Kind::kChunked)
    reframe = Reframe::kToClose;
  bool until_close = client_minor_version_ == 0 && (kind == BodyFraming::Kind::kChunked ||
                                                    kind == BodyFraming::Kind::kUntilClose);
  // An upstream that will not read the rest of the upload leaves the client in the middle of a
  // message. So does a client that still waits for "100 Continue": it may send its body now or
  // never.
  bool unsure = uploading_ && (!response_.keep_alive || (expects_continue_ && !body_started_));
  keep_alive_ = client_keep_alive_ && !until_close && !unsure;
  responding_ = true;
  end_looks_whole_ = until_close;
  ResponseRewrite rewrite;
  rewrite.reframe = reframe;
  rewrite.keep_alive = keep_alive_;
  rewrite.client_minor_version = client_minor_version_;
  out_.clear();
  write_response(response_, rewrite, out_);
  channel_->consume(head_size);

  for (;;) {
    std::string_view payload;
    std::size_t consumed = 0;
    bool good = next_piece(reframe, scanner, payload, consumed);
    if (scanner.done() && reframe == Reframe::kToChunked) out_.append("0\r\n\r\n");
    bool chunk = reframe == Reframe::kToChunked && !payload.empty();
    if (!out_.empty() || !payload.empty()) {
      // Nearly always taken at once: no coroutine for it.
      auto sent = client_->send(out_, payload);
      if (sent == Channel::Sent::kPartly) sent = co_await client_->drain();
      if (sent == Channel::Sent::kBroken) {
        client_left();
        co_await finish_upload(false);
        co_return Outcome::kAborted;
      }
    }
    out_.assign(chunk ? "\r\n" : "");
    channel_->consume(consumed);
    if (scanner.done() || !good) break;
    if (!channel_->data().empty()) continue;
    if (channel_->ended()) {
      if (!scanner.until_close() || !channel_->ended_cleanly()) break;
      scanner.end_of_stream();
      if (reframe != Reframe::kToChunked) break;
      continue;
    }
    if (out_.empty() && scanner.unseen() > 0) {
      std::uint64_t count = 0;
      bool passed = co_await pass_on(*channel_, *client_, scanner.unseen(), count);
      scanner.skip_unseen(count);
      if (client_->is_broken()) {
        client_left();
        co_await finish_upload(false);
        co_return Outcome::kAborted;
      }
      if (passed) continue;
    }
    co_await channel_->more();
  }
  if (!scanner.done() || cut_ || client_gone_) {
    co_await finish_upload(false);
    co_return Outcome::kAborted;
  }
  bool reusable = response_.keep_alive && channel_->data().empty() && !channel_->ended();
  if (uploading_ || !body_.done()) {
    co_await finish_upload(reusable && !unsure);
    if (cut_ || client_gone_) co_return Outcome::kAborted;
    reusable = reusable && body_.done();
  }
  if (reusable) dialer_.keep(upstream_, std::exchange(channel_, nullptr));
  co_return body_.done() ? Outcome::kDone : Outcome::kLinger;
}

// Waits for the end of the upload; with a dead upstream it is ended at once.
asio::awaitable<void> Relay::finish_upload(bool upstream_lives) {
  if (!uploading_) co_return;
  if (!upstream_lives) {
    stop_upload_ = true;
    if (channel_) channel_->close(false);
    client_->wake();
  }
  while (uploading_) {
    upload_signal_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await upload_signal_.async_wait(kUse);
  }
}

void Relay::upload_ended() {
  uploading_ = false;
  upload_signal_.cancel();
}

asio::awaitable<void> Relay::pump_upload(std::shared_ptr<Relay> self,
                                         std::shared_ptr<Channel> upstream) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Channel& client = *self->client_;
  while (!self->body_.done() && !self->stop_upload_) {
    if (client.data().empty()) {
      if (client.ended()) {
        self->client_left();
        break;
      }
      std::uint64_t count = 0;
      bool passed = co_await self->pass_on(client, *upstream, self->body_.unseen(), count);
      if (count > 0) self->body_started_ = true;
      self->body_.skip_unseen(count);
      if (upstream->is_broken()) break;
      if (!passed) co_await client.more();
      continue;
    }
    auto size = self->body_.skip(client.data());
    if (!size) {
      // Malformed chunk: what was sent so far must not look complete.
      self->client_left();
      break;
    }
    self->body_started_ = true;
    auto sent = upstream->send(client.data().substr(0, *size));
    if (sent == Channel::Sent::kPartly) sent = co_await upstream->drain();
    if (sent == Channel::Sent::kBroken) break;  // its response may still be there to be read
    client.consume(*size);
  }
  if (self->body_.done() && !self->stop_upload_) self->watch_client();
  self->upload_ended();
}

asio::awaitable<void> Relay::pump_tunnel(std::shared_ptr<Relay> self,
                                         std::shared_ptr<Channel> upstream) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Channel& client = *self->client_;
  std::uint64_t carried = 0;
  for (;;) {
    std::string_view data = client.data();
    if (!data.empty()) {
      auto sent = upstream->send(data);
      if (sent == Channel::Sent::kPartly) sent = co_await upstream->drain();
      if (sent == Channel::Sent::kBroken) break;
      client.consume(data.size());
      carried += data.size();
    } else if (client.ended()) {
      // A TLS client may close without close_notify: no reason to be stricter than it is.
      if (client.ended_cleanly() || client.is_tls()) {
        upstream->finish_writing();
      } else {
        upstream->close(true);
      }
      break;
    } else {
      std::uint64_t count = 0;
      if (co_await self->pass_on(client, *upstream, tunnel_bulk(carried), count)) {
        if (upstream->is_broken()) break;
        carried += count;
      } else {
        co_await client.more();
      }
    }
  }
  self->upload_ended();
}

asio::awaitable<Relay::Outcome> Relay::tunnel(std::size_t head_size) {
  // A request with a body that was upgraded while it was being sent: nonsense, but the body ends
  // first.
  co_await finish_upload(true);
  client_->on_end(nullptr);
  keep_alive_ = false;
  responding_ = end_looks_whole_ = true;
  out_.clear();
  write_response(response_, ResponseRewrite(), out_);
  channel_->consume(head_size);
  if (!co_await send_to_client(out_, kNothing)) co_return Outcome::kAborted;
  uploading_ = true;
  tasks_.spawn("proxy.tunnel", pump_tunnel(shared_from_this(), channel_));
  bool reset = false;
  std::uint64_t carried = 0;
  for (;;) {
    std::string_view data = channel_->data();
    if (!data.empty()) {
      bool alive = co_await send_to_client(data, kNothing);
      if (!alive) {
        client_->close(true);
        break;
      }
      channel_->consume(data.size());
      carried += data.size();
    } else if (channel_->ended()) {
      reset = !channel_->ended_cleanly();
      if (reset) {
        client_->close(true);
      } else {
        client_->finish_writing();
      }
      break;
    } else {
      std::uint64_t count = 0;
      bool passed = co_await pass_on(*channel_, *client_, tunnel_bulk(carried), count);
      carried += count;
      if (client_->is_broken()) {
        client_left();
        client_->close(true);
        break;
      }
      if (!passed) co_await channel_->more();
    }
  }
  while (uploading_) {
    upload_signal_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await upload_signal_.async_wait(kUse);
  }
  co_return reset || cut_ || client_gone_ ? Outcome::kAborted : Outcome::kDone;
}

}  // namespace emulator::proxy
