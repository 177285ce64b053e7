#include "fakeapi/http/connection.h"

#include <poll.h>

#include <array>
#include <cstring>

#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/base/log.h"

namespace fakeapi::http {

using base::Errc;

namespace {

constexpr std::size_t kDrainLimit = 256U << 10U;
constexpr auto kHangupInterval = std::chrono::milliseconds(200);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Reads into `buffer` until it holds a complete head: its size, or 0 when the stream ended before
// any byte.
base::Task<std::size_t> fill_head(ByteStream& stream, ReadBuffer& buffer, std::size_t limit) {
  for (;;) {
    // RFC 9112 2.2: empty lines before a request line are ignored.
    while (buffer.view().substr(0, 2) == "\r\n") buffer.consume(2);
    if (std::size_t size = head_size(buffer.view())) co_return size;
    if (buffer.view().size() >= limit)
      co_return base::fail(Errc::kTooLarge, "HTTP head is too large");
    bool fresh = buffer.empty();
    SANDLOT_CO_TRY(std::size_t count, co_await buffer.fill(stream, 16384));
    if (count == 0) {
      if (fresh) co_return 0;
      co_return base::fail(Errc::kUnavailable, "connection closed inside an HTTP head");
    }
  }
}

// One run of payload out of the body: shared by both sides of a connection.
base::Task<std::size_t> read_payload(ByteStream& stream,
                                     ReadBuffer& buffer,
                                     BodyScanner& scanner,
                                     std::span<char> into) {
  for (;;) {
    if (scanner.done()) co_return 0;
    if (buffer.empty()) {
      SANDLOT_CO_TRY(std::size_t count, co_await buffer.fill(stream));
      if (count == 0) {
        scanner.end_of_stream();
        if (scanner.done()) co_return 0;
        co_return base::fail(Errc::kUnavailable, "connection closed inside a body");
      }
    }
    // Never offer more than fits, so that every payload byte has a place.
    std::string_view bytes = buffer.view().substr(0, into.size());
    BodyScanner::Step step = scanner.next(bytes);
    if (step.malformed) co_return base::fail(Errc::kInvalidArgument, "malformed chunked body");
    std::memcpy(into.data(), bytes.data() + step.payload_at, step.payload_size);
    buffer.consume(step.consumed);
    if (step.payload_size > 0) co_return step.payload_size;
  }
}

template <class Connection>
base::Task<std::string> collect_body(Connection& connection, std::size_t limit) {
  std::string body;
  std::array<char, 16384> chunk{};
  for (;;) {
    SANDLOT_CO_TRY(std::size_t count, co_await connection.read_body(chunk));
    if (count == 0) co_return body;
    if (body.size() + count > limit) co_return base::fail(Errc::kTooLarge, "body is too large");
    body.append(chunk.data(), count);
  }
}

std::string chunk_header(std::size_t size) {
  std::array<char, 20> text{};
  int count = std::snprintf(text.data(), text.size(), "%zx\r\n", size);
  return {text.data(), static_cast<std::size_t>(count)};
}

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace

void ReadBuffer::consume(std::size_t count) {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

base::Task<std::size_t> ReadBuffer::fill(ByteStream& stream, std::size_t chunk) {
  std::size_t have = end_ - begin_;
  if (capacity_ - end_ < chunk) {
    if (have + chunk > capacity_) {
      std::size_t capacity = have + chunk;
      auto grown = std::make_unique_for_overwrite<char[]>(capacity);
      if (have > 0) std::memcpy(grown.get(), bytes_.get() + begin_, have);
      bytes_ = std::move(grown);
      capacity_ = capacity;
    } else {
      std::memmove(bytes_.get(), bytes_.get() + begin_, have);
    }
    begin_ = 0;
    end_ = have;
  }
  auto space = std::span(bytes_.get() + end_, chunk);
  auto count = co_await stream.read_some(space);
  if (count) end_ += *count;
  co_return count;
}

ServerConnection::ServerConnection(ByteStream& stream, Limits limits)
    : stream_(stream), limits_(limits) {}

base::Task<std::optional<RequestHead>> ServerConnection::read_head() {
  SANDLOT_CO_TRY(std::size_t size, co_await fill_head(stream_, buffer_, limits_.head_bytes));
  if (size == 0) co_return std::optional<RequestHead>();
  SANDLOT_CO_TRY(head_, parse_request_head(buffer_.view().substr(0, size)));
  buffer_.consume(size);
  scanner_ = BodyScanner(head_.framing);
  keep_alive_ = head_.keep_alive;
  expects_continue_ = iequals(head_.headers.get("Expect"), "100-continue");
  head_request_ = head_.method == "HEAD";
  response_started_ = false;
  response_complete_ = false;
  chunked_ = false;
  pending_head_.clear();
  co_return std::optional<RequestHead>(head_);
}

base::Task<> ServerConnection::continue_if_expected() {
  if (!expects_continue_ || response_started_) co_return base::Result<>();
  expects_continue_ = false;
  co_return co_await stream_.write_all(kContinue);
}

base::Task<std::size_t> ServerConnection::read_body(std::span<char> into) {
  if (expects_continue_ && !scanner_.done()) SANDLOT_CO_CHECK(co_await continue_if_expected());
  auto count = co_await read_payload(stream_, buffer_, scanner_, into);
  if (observer_ != nullptr && count) observer_->request_body({into.data(), *count});
  co_return count;
}

base::Task<std::string> ServerConnection::read_full_body(std::size_t limit) {
  if (head_.framing.kind == BodyFraming::Kind::kLength && head_.framing.length > limit) {
    co_return base::fail(Errc::kTooLarge, "body is too large");
  }
  co_return co_await collect_body(*this, limit);
}

base::Task<> ServerConnection::send(Response response) {
  ResponseHead head;
  head.status = response.status;
  head.headers = std::move(response.headers);
  bool bodiless = has_no_body(response.status);
  if (!bodiless) head.headers.set("Content-Length", std::to_string(response.body.size()));
  // A client that still holds back its body (Expect) will not send it after a final answer.
  if (expects_continue_) keep_alive_ = false;
  if (!keep_alive_) head.headers.set("Connection", "close");
  if (head_request_ || bodiless) response.body.clear();
  response_started_ = true;
  if (observer_ != nullptr) {
    observer_->response(response.status);
    observer_->response_body(response.body);
  }
  std::string text = serialize(head);
  auto sent = co_await stream_.write_all(text, response.body);
  response_complete_ = sent.has_value();
  co_return sent;
}

base::Task<> ServerConnection::begin(ResponseHead head) {
  bool bodiless = has_no_body(head.status);
  chunked_ = false;
  if (!bodiless && !head.headers.has("Content-Length")) {
    if (head_.minor_version == 0) {
      keep_alive_ = false;
    } else {
      chunked_ = true;
      head.headers.set("Transfer-Encoding", "chunked");
    }
  }
  if (expects_continue_) keep_alive_ = false;
  if (!keep_alive_) head.headers.set("Connection", "close");
  response_started_ = true;
  if (observer_ != nullptr) observer_->response(head.status);
  pending_head_ = serialize(head);
  co_return base::Result<>();
}

base::Task<> ServerConnection::write(std::string_view bytes) {
  return write(bytes, {});
}

base::Task<> ServerConnection::write(std::string_view first, std::string_view second) {
  std::string head = std::move(pending_head_);
  pending_head_.clear();
  std::size_t size = first.size() + second.size();
  if (observer_ != nullptr) {
    observer_->response_body(first);
    observer_->response_body(second);
  }
  if (head_request_ || size == 0) {
    if (head.empty()) co_return base::Result<>();
    co_return co_await stream_.write_all(head);
  }
  if (!chunked_) {
    head.append(first);
    co_return co_await stream_.write_all(head, second);
  }
  head.append(chunk_header(size)).append(first);
  if (size <= 16384) {
    head.append(second).append("\r\n");
    co_return co_await stream_.write_all(head);
  }
  SANDLOT_CO_CHECK(co_await stream_.write_all(head, second));
  co_return co_await stream_.write_all("\r\n");
}

base::Task<> ServerConnection::end() {
  std::string text = std::move(pending_head_);
  pending_head_.clear();
  if (chunked_ && !head_request_) text.append("0\r\n\r\n");
  if (!text.empty()) SANDLOT_CO_CHECK(co_await stream_.write_all(text));
  response_complete_ = true;
  co_return base::Result<>();
}

void ServerConnection::mark_response_relayed(bool keep_alive) {
  response_started_ = true;
  response_complete_ = true;
  keep_alive_ = keep_alive_ && keep_alive;
}

base::Task<bool> ServerConnection::finish_request() {
  if (!response_complete_ || !keep_alive_) co_return false;
  std::size_t drained = 0;
  std::array<char, 16384> chunk{};
  while (!scanner_.done()) {
    SANDLOT_CO_TRY(std::size_t count, co_await read_body(chunk));
    drained += count;
    if (drained > kDrainLimit) co_return false;
  }
  co_return true;
}

base::Task<> ServerConnection::wait_for_disconnect() {
  // Whatever arrives here is a pipelined request or the rest of a body: keep it, and wait on.
  for (;;) {
    if (buffer_.view().size() > limits_.head_bytes) co_return co_await wait_for_hangup();
    SANDLOT_CO_TRY(std::size_t count, co_await buffer_.fill(stream_, 4096));
    if (count == 0) co_return base::Result<>();
  }
}

// Without reading: the kernel knows of the end behind bytes that nobody has read, but tells only
// when it is asked.
base::Task<> ServerConnection::wait_for_hangup() {
  auto* socket = stream_.raw_socket();
  if (socket == nullptr) co_return base::fail(Errc::kTooLarge, "too many pipelined bytes");
  boost::asio::steady_timer timer(socket->get_executor());
  while (socket->is_open()) {
    pollfd state{socket->native_handle(), POLLRDHUP, 0};
    if (::poll(&state, 1, 0) != 0) break;
    timer.expires_after(kHangupInterval);
    auto [error] = co_await timer.async_wait(base::kUse);
    if (error) co_return base::fail(Errc::kCanceled, "canceled");
  }
  co_return base::Result<>();
}

ClientConnection::ClientConnection(ByteStream& stream, Limits limits)
    : stream_(stream), limits_(limits) {}

base::Task<> ClientConnection::send_head(const RequestHead& head, std::string_view body) {
  std::string text = serialize(head);
  co_return co_await stream_.write_all(text, body);
}

base::Task<ResponseHead> ClientConnection::read_head(std::string_view method, bool interim) {
  for (;;) {
    SANDLOT_CO_TRY(std::size_t size, co_await fill_head(stream_, buffer_, limits_.head_bytes));
    if (size == 0) co_return base::fail(Errc::kUnavailable, "connection closed before a response");
    auto parsed = parse_response_head(buffer_.view().substr(0, size), method);
    buffer_.consume(size);
    if (!parsed) co_return parsed;
    scanner_ = BodyScanner(parsed->framing);
    if (parsed->status >= 200 || parsed->status == 101 || interim) co_return parsed;
  }
}

base::Task<std::size_t> ClientConnection::read_body(std::span<char> into) {
  return read_payload(stream_, buffer_, scanner_, into);
}

base::Task<std::string> ClientConnection::read_full_body(std::size_t limit) {
  co_return co_await collect_body(*this, limit);
}

boost::asio::awaitable<void> serve_connection(ByteStream& stream, const Handler& handler) {
  ServerConnection connection(stream);
  for (;;) {
    auto head = co_await connection.read_head();
    if (!head) {
      if (head.error().code() == Errc::kInvalidArgument || head.error().code() == Errc::kTooLarge) {
        connection.close_after_response();
        Response response;
        response.status = head.error().code() == Errc::kTooLarge ? 431 : 400;
        response.headers.add("Content-Type", "text/plain; charset=utf-8");
        response.body = std::string(reason_phrase(response.status)) + "\n";
        co_await connection.send(std::move(response));
      }
      break;
    }
    if (!*head) break;
    co_await handler(**head, connection);
    auto again = co_await connection.finish_request();
    if (!again || !*again) break;
  }
  // An incomplete response must look incomplete: reset instead of a clean end.
  bool cut = connection.response_started() && !connection.response_complete();
  stream.close(cut);
}

}  // namespace fakeapi::http
