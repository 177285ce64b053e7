#include "emulator/proxy/session.h"

#include <cctype>
#include <exception>

#include <boost/asio/this_coro.hpp>

#include "emulator/base/deadline.h"
#include "emulator/base/log.h"

namespace emulator::proxy {

namespace asio = boost::asio;
using fakeapi::http::BodyScanner;
using fakeapi::http::ServerConnection;

namespace {

constexpr std::size_t kHeadLimit = 64U << 10U;
constexpr std::chrono::seconds kHandshakeLimit{10};
constexpr std::chrono::seconds kResumeLimit{60};  // contract-network 3.7
constexpr std::chrono::seconds kLingerLimit{2};
// 30 s each: about the 620 s that the cloud's proxies keep an idle connection
// (contract-network 3.8).
constexpr int kIdleTicks = 21;

// Closes the channel when a time is over; disarmed by destruction.
class Watchdog {
 public:
  Watchdog(const std::shared_ptr<Channel>& channel, std::chrono::steady_clock::duration limit)
      : timer_(channel->executor(), limit) {
    timer_.async_wait([channel](const boost::system::error_code& cancelled) {
      if (!cancelled) channel->close(false);
    });
  }

 private:
  asio::steady_timer timer_;
};

// Passes bytes through and notes the status of what is answered, for the log.
class StatusTap final : public fakeapi::http::ByteStream {
 public:
  explicit StatusTap(Channel& channel) : channel_(channel) {}

  base::Task<std::size_t> read_some(std::span<char> into) override {
    return channel_.read_some(into);
  }
  base::Task<> write_all(std::string_view first, std::string_view second) override {
    // "HTTP/1.1 201 Created"; 100 Continue is not the answer.
    if (status_ < 200 && first.size() > 12 && first.substr(0, 5) == "HTTP/") {
      status_ = (first[9] - '0') * 100 + (first[10] - '0') * 10 + (first[11] - '0');
    }
    return channel_.write_all(first, second);
  }
  base::Task<> shutdown_write() override { return channel_.shutdown_write(); }
  void close(bool reset) override { channel_.close(reset); }
  asio::any_io_executor executor() override { return channel_.executor(); }
  bool is_local() const override { return channel_.is_local(); }
  int status() const { return status_; }

 private:
  Channel& channel_;
  int status_ = 0;
};

bool is_control_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/_sandlot";
  return path.substr(0, kPrefix.size()) == kPrefix &&
         (path.size() == kPrefix.size() || path[kPrefix.size()] == '/');
}

RoutingHeaders routing_headers(const WireHead& head) {
  RoutingHeaders routing;
  for (const HeaderView& header : head.headers) {
    // All four have "-Sandbox-" inside: most headers are skipped by their length.
    std::size_t size = header.name.size();
    if (size != 17 && size != 19 && size != 14 && size != 16) continue;
    auto is = [&header](std::string_view name) {
      return fakeapi::http::iequals(header.name, name);
    };
    if (is("Novita-Sandbox-Id"))
      routing.novita_id = header.value;
    else if (is("Novita-Sandbox-Port"))
      routing.novita_port = header.value;
    else if (is("E2b-Sandbox-Id"))
      routing.e2b_id = header.value;
    else if (is("E2b-Sandbox-Port"))
      routing.e2b_port = header.value;
  }
  return routing;
}

}  // namespace

Session::Session(FrontDoor& door, asio::ip::tcp::socket socket, bool tls_only, bool from_sandbox)
    : door_(door),
      client_(std::make_shared<Channel>(std::move(socket))),
      tls_only_(tls_only),
      from_sandbox_(from_sandbox) {
  door_.sessions_.insert(this);
}

Session::~Session() {
  door_.sessions_.erase(this);
  client_->close(false);
}

void Session::abort() {
  aborted_ = true;
  if (relay_) {
    relay_->abort();
  } else {
    client_->close(false);
  }
}

void Session::tick() {
  if (idle_ && ++idle_ticks_ > kIdleTicks) client_->close(false);
}

asio::awaitable<void> Session::run() {
  bool going = co_await begin();
  while (going && !aborted_) {
    idle_ticks_ = 0;
    idle_ = true;
    std::size_t head_size = co_await next_head();
    if (head_size == 0) break;
    idle_ = false;
    going = co_await serve_request(head_size);
    if (going && client_->data().empty()) client_->shrink();
  }
  client_->close(false);
}

// Looks at the first byte: 0x16 begins a TLS handshake record.
asio::awaitable<bool> Session::begin() {
  while (client_->data().empty()) {
    if (client_->ended() || aborted_) co_return false;
    co_await client_->more();
  }
  if (client_->data().front() != 0x16) {
    if (!tls_only_) co_return true;
    co_await refuse(400, "Client sent an HTTP request to an HTTPS server.");
    co_return false;
  }
  if (door_.parts_.tls == nullptr) co_return false;
  Watchdog limit(client_, kHandshakeLimit);
  co_return co_await client_->start_tls(*door_.parts_.tls);
}

asio::awaitable<std::size_t> Session::next_head() {
  std::size_t scanned = 0;
  for (;;) {
    // RFC 9112 2.2: empty lines before a request line are ignored.
    while (client_->data().substr(0, 2) == "\r\n") client_->consume(2);
    std::size_t size = find_head_end(client_->data(), scanned);
    if (size > kHeadLimit || (size == 0 && client_->data().size() > kHeadLimit)) {
      co_await refuse(431, "431 Request Header Fields Too Large");
      co_return 0U;
    }
    if (size > 0) co_return size;
    if (client_->ended() || aborted_) co_return 0U;
    co_await client_->more();
  }
}

asio::awaitable<bool> Session::serve_request(std::size_t head_size) {
  auto parsed = parse_request(client_->data().substr(0, head_size), head_);
  if (!parsed) {
    co_await refuse(400, "400 Bad Request: " + parsed.error().message());
    co_return false;
  }
  if (head_.method == "CONNECT") {
    co_await refuse(405, "405 Method Not Allowed");
    co_return false;
  }
  Target target = find_target(head_.host, routing_headers(head_), door_.options_.names);
  if (target.kind == Target::Kind::kError) {
    ErrorPage page = plain_text(400, target.error);
    co_return co_await answer(std::move(page), head_size);
  }
  // It would be the way to every other sandbox.
  if (from_sandbox_ && target.kind == Target::Kind::kControlPlane) {
    ErrorPage page = plain_text(403, "The control plane cannot be reached from a sandbox.");
    co_return co_await answer(std::move(page), head_size);
  }
  bool control = target.kind == Target::Kind::kControlPlane && is_control_path(head_.path());
  if (door_.parts_.faults != nullptr && door_.parts_.faults->armed() && !control) {
    Faulted faulted = co_await suffer(target, head_size);
    if (faulted != Faulted::kNo) co_return faulted == Faulted::kAnswered;
  }
  if (target.kind == Target::Kind::kSandbox) co_return co_await to_sandbox(target, head_size);
  const auto& handler = control ? door_.parts_.control : door_.parts_.cloud;
  co_return co_await to_handler(handler);
}

asio::awaitable<Session::Faulted> Session::suffer(const Target& target, std::size_t head_size) {
  bool api = target.kind == Target::Kind::kControlPlane;
  FaultQuestion question{head_.method, head_.path(), api ? std::string_view() : target.sandbox_id,
                         api ? 0 : target.port};
  auto fault = door_.parts_.faults->take(question);
  if (!fault) co_return Faulted::kNo;
  auto started = std::chrono::steady_clock::now();
  RequestRecord record;
  record.method = head_.method;
  record.path = head_.path();
  record.sandbox = question.sandbox;
  record.fault = fault->rule;
  if (fault->latency.count() > 0) co_await base::sleep_for(fault->latency);
  if (aborted_) co_return Faulted::kEnd;
  if (fault->cut == Fault::Cut::kResponse) client_->reset_on_send();
  if (fault->status == 0 && fault->cut != Fault::Cut::kRequest) co_return Faulted::kNo;
  Faulted result = Faulted::kEnd;
  if (fault->status == 0) {
    client_->close(true);
  } else {
    ErrorPage page = injected(fault->status, std::move(fault->body));
    bool going = co_await answer(std::move(page), head_size);
    if (going) result = Faulted::kAnswered;
    record.status = fault->status;
  }
  record.duration = std::chrono::steady_clock::now() - started;
  if (door_.parts_.on_request) door_.parts_.on_request(record);
  co_return result;
}

asio::awaitable<bool> Session::to_handler(const fakeapi::http::Handler& handler) {
  auto started = std::chrono::steady_clock::now();
  StatusTap tap(*client_);
  ServerConnection connection(tap);
  auto head = co_await connection.read_head();
  if (!head || !*head) {
    co_await refuse(400, "400 Bad Request");
    co_return false;
  }
  std::string failure;
  co_await asio::this_coro::throw_if_cancelled(true);
  try {
    co_await handler(**head, connection);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!failure.empty() && !aborted_) {
    base::log::error("request.failed",
                     {{"path", std::string((*head)->path())}, {"error", failure}});
  }
  if (!connection.response_started() && !aborted_) {
    fakeapi::http::Response response;
    response.status = 500;
    response.headers.add("Content-Type", "application/json");
    response.body = R"({"code":500,"message":"internal error"})";
    co_await connection.send(std::move(response));
  }
  if (door_.parts_.on_request) {
    RequestRecord record;
    record.method = (*head)->method;
    record.path = (*head)->path();
    record.status = tap.status();
    record.duration = std::chrono::steady_clock::now() - started;
    door_.parts_.on_request(record);
  }
  if (!connection.response_complete()) {
    // What was sent must not look like a whole answer.
    client_->close(true);
    co_return false;
  }
  auto again = co_await connection.finish_request();
  client_->unread(connection.buffer().view());
  if (again && *again) co_return true;
  co_await linger();
  co_return false;
}

asio::awaitable<bool> Session::to_sandbox(Target target, std::size_t head_size) {
  if (target.port == kDaemonPort) {
    // One segment, so long as it is short: most daemon paths are ruled out by their second slash.
    std::string route = reserved_daemon_route(head_.path());
    if (!route.empty()) {
      ErrorPage page = reserved_route(route, wants_html(asker()));
      co_return co_await answer(std::move(page), head_size);
    }
  }
  // The usual case: the same port of the same sandbox as the last request of this connection.
  std::shared_ptr<Upstream> upstream;
  if (relay_ && relay_->upstream() && !relay_->upstream()->closed() &&
      relay_->upstream()->port() == target.port && relay_->upstream()->id() == target.sandbox_id) {
    upstream = relay_->upstream();
    if (auto page = token_page(upstream->ingress(), target)) {
      co_return co_await answer(std::move(*page), head_size);
    }
  } else {
    auto route = door_.parts_.directory.route(target.sandbox_id);
    if (route && route->paused && route->auto_resume) {
      auto page = co_await wake(*route, target);
      if (page) co_return co_await answer(std::move(*page), head_size);
      route = door_.parts_.directory.route(target.sandbox_id);
    }
    if (!route || route->paused || !route->connections || route->connections->closed()) {
      ErrorPage page = sandbox_not_found(target.sandbox_id, wants_html(asker()));
      co_return co_await answer(std::move(page), head_size);
    }
    if (route->ingress) {
      auto page = token_page(*route->ingress, target);
      if (page) co_return co_await answer(std::move(*page), head_size);
    }
    if (route->unbuilt_port != 0 && route->unbuilt_port == target.port) {
      ErrorPage page = port_not_built(route->id, target.port, wants_html(asker()));
      co_return co_await answer(std::move(page), head_size);
    }
    upstream = door_.dialer_.find(*route, target.port);
  }
  if (!relay_) {
    relay_ = std::make_shared<Relay>(client_, door_.dialer_, door_.tasks_, door_.pipes_,
                                     door_.options_.limits);
  }
  if (!door_.parts_.on_relayed) co_return co_await relay(std::move(upstream), head_size);
  auto started = std::chrono::steady_clock::now();
  RequestRecord record;
  record.method = head_.method;
  record.path = head_.path();
  record.sandbox = target.sandbox_id;
  status_ = 0;
  bool going = co_await relay(std::move(upstream), head_size);
  record.status = status_;
  record.duration = std::chrono::steady_clock::now() - started;
  door_.parts_.on_relayed(record);
  co_return going;
}

asio::awaitable<std::optional<ErrorPage>> Session::wake(const SandboxRoute& route, Target target) {
  bool html = wants_html(asker());
  if (route.ingress &&
      !may_resume(*route.ingress, target.port, head_.get("e2b-traffic-access-token"),
                  head_.get("x-access-token"))) {
    co_return resume_denied(target.sandbox_id, html);
  }
  auto resuming = door_.parts_.directory.resume(route.id);
  auto resumed =
      co_await base::with_deadline(std::move(resuming), kResumeLimit, "resuming the sandbox");
  if (resumed) co_return std::nullopt;
  switch (resumed.error().code()) {
    case base::Errc::kDeadlineExceeded:
      co_return still_transitioning(target.sandbox_id, html);
    case base::Errc::kResourceExhausted:
      co_return sandbox_limit_reached(target.sandbox_id, resumed.error().message(), html);
    case base::Errc::kNotFound:
      break;
    default:
      base::log::error("resume.failed",
                       {{"sandbox", route.id}, {"error", resumed.error().message()}});
  }
  co_return sandbox_not_found(target.sandbox_id, html);
}

std::optional<ErrorPage> Session::token_page(const IngressRules& rules,
                                             const Target& target) const {
  if (rules.traffic_token.empty()) return std::nullopt;
  switch (check_token(rules, target.port, head_.get("e2b-traffic-access-token"))) {
    case TokenVerdict::kMissing:
      return token_missing(target.sandbox_id, wants_html(asker()));
    case TokenVerdict::kInvalid:
      return token_invalid(target.sandbox_id, wants_html(asker()));
    case TokenVerdict::kPass:
      break;
  }
  return std::nullopt;
}

asio::awaitable<bool> Session::relay(std::shared_ptr<Upstream> upstream, std::size_t head_size) {
  Relay::Outcome outcome = co_await relay_->run(upstream, head_, head_size);
  status_ = relay_->status();
  if (outcome == Relay::Outcome::kDone) co_return relay_->keep_alive();
  if (outcome == Relay::Outcome::kAborted) {
    relay_->break_off();
    co_return false;
  }
  if (outcome == Relay::Outcome::kLinger) {
    co_await linger();
    co_return false;
  }
  if (outcome == Relay::Outcome::kFailed) {
    // The body may be anywhere by now.
    ErrorPage failed = plain_text(502, "Failed to route request to sandbox");
    // Killed or paused in the middle. What the request accepts is no longer there to be read.
    if (upstream->closed()) failed = sandbox_not_found(upstream->id(), false);
    co_await send_page(failed, false, false);
    co_await linger();
    co_return false;
  }
  // Nothing was taken from the client: the request is still there, but its views may have moved.
  auto again = parse_request(client_->data().substr(0, head_size), head_);
  if (!again) co_return false;
  bool html = wants_html(asker());
  ErrorPage page;
  switch (outcome) {
    case Relay::Outcome::kPortClosed:
      page = port_closed(upstream->id(), upstream->port(), html);
      break;
    case Relay::Outcome::kTooMany:
      page = too_many_connections(upstream->id(), door_.options_.limits.connections, html);
      break;
    case Relay::Outcome::kGone:
      page = sandbox_not_found(upstream->id(), html);
      break;
    default:
      page = plain_text(400, "400 Bad Request: malformed body");
      break;
  }
  co_return co_await answer(std::move(page), head_size);
}

asio::awaitable<bool> Session::answer(ErrorPage page, std::size_t head_size) {
  BodyScanner body(head_.framing);
  auto size = body.skip(client_->data().substr(head_size));
  bool whole = size && body.done();
  bool keep_alive = whole && head_.keep_alive;
  bool head_request = head_.method == "HEAD";
  if (whole) client_->consume(head_size + *size);
  co_await send_page(page, head_request, keep_alive);
  if (!keep_alive) co_await linger();
  co_return keep_alive;
}

asio::awaitable<void> Session::send_page(const ErrorPage& page,
                                         bool head_request,
                                         bool keep_alive) {
  status_ = page.status;
  std::string text = "HTTP/1.1 " + std::to_string(page.status) + " ";
  text.append(fakeapi::http::reason_phrase(page.status));
  text.append("\r\nContent-Type: ").append(page.content_type);
  if (page.nosniff) text.append("\r\nX-Content-Type-Options: nosniff");
  text.append("\r\nContent-Length: ").append(std::to_string(page.body.size()));
  if (!keep_alive) text.append("\r\nConnection: close");
  text.append("\r\n\r\n");
  if (!head_request) text.append(page.body);
  co_await client_->write_all(text, std::string_view());
}

asio::awaitable<void> Session::refuse(int status, std::string_view sentence) {
  ErrorPage page = plain_text(status, sentence);
  co_await send_page(page, false, false);
  co_await linger();
}

asio::awaitable<void> Session::linger() {
  Watchdog limit(client_, kLingerLimit);
  client_->finish_writing();
  while (!client_->ended() && !aborted_) {
    client_->consume(client_->data().size());
    co_await client_->more();
  }
}

Asker Session::asker() const {
  Asker asker;
  asker.accept = head_.get("Accept");
  asker.user_agent = head_.get("User-Agent");
  asker.sec_fetch_mode = head_.get("Sec-Fetch-Mode");
  asker.requested_with = head_.get("X-Requested-With");
  return asker;
}

}  // namespace emulator::proxy
