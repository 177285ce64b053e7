// One HTTP/1.1 connection over a ByteStream, server side and client side: heads parsed (by Beast,
// in codec.cc), bodies streamed with back-pressure, keep-alive, 100-continue. Used by the front
// door, the agent and tests. Does not route, does not know what a sandbox is.
//
// Server loop:
//   ServerConnection connection(*stream);
//   for (;;) {
//     auto head = co_await connection.read_head();
//     if (!head || !*head) break;               // error, or clean end before a request
//     co_await handler(**head, connection);     // reads the body it wants, sends one response
//     auto again = co_await connection.finish_request();   // drains the rest of the body
//     if (!again || !*again) break;             // not keep-alive
//   }
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/http/byte_stream.h"
#include "fakeapi/http/message.h"

namespace fakeapi::http {

struct Limits {
  std::size_t head_bytes = 64U << 10U;  // request line and headers
};

// Finds where a body ends in a byte stream without changing it (the relay's view) and says which
// bytes are payload (the handler's view). Pure.
class BodyScanner {
 public:
  BodyScanner() = default;
  explicit BodyScanner(BodyFraming framing);

  struct Step {
    std::size_t consumed = 0;      // bytes of the input that belong to this message
    std::size_t payload_at = 0;    // the first run of payload inside them ...
    std::size_t payload_size = 0;  // ... and its size; call again with the rest for the next run
    bool malformed = false;        // bad chunk header
  };
  // Consumes up to and including one run of payload.
  Step next(std::string_view bytes);
  // Consumes everything in `bytes` that belongs to the body: the number of bytes, or nullopt when
  // malformed.
  std::optional<std::size_t> skip(std::string_view bytes);
  bool done() const { return done_; }
  // How many of the next bytes are payload whatever they say, and that so many were passed on
  // unseen (by splice or sendfile). 0 unless the body has a length.
  std::uint64_t unseen() const { return framing_.kind == BodyFraming::Kind::kLength ? left_ : 0; }
  void skip_unseen(std::uint64_t count);
  // For kUntilClose: the transport ended.
  void end_of_stream();
  bool until_close() const { return framing_.kind == BodyFraming::Kind::kUntilClose; }

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kFinalLf
  };
  BodyFraming framing_;
  std::uint64_t left_ = 0;
  State state_ = State::kSize;
  int digits_ = 0;
  bool done_ = true;
};

// Bytes read from a stream but not consumed yet. Grows as needed, never clears memory it is about
// to fill.
class ReadBuffer {
 public:
  std::string_view view() const { return {bytes_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t count);
  // Reads more from the stream; 0 = end of stream.
  base::Task<std::size_t> fill(ByteStream& stream, std::size_t chunk = 64U << 10U);
  bool empty() const { return begin_ == end_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Sees what passes through a ServerConnection: payload, without framing. For a journal.
class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;
  virtual void request_body(std::string_view piece) = 0;
  virtual void response(int status) = 0;
  virtual void response_body(std::string_view piece) = 0;
};

class ServerConnection {
 public:
  explicit ServerConnection(ByteStream& stream, Limits limits = Limits{});
  // Until the next call with nullptr.
  void observe(ConnectionObserver* observer) { observer_ = observer; }

  // The next request head; nullopt when the peer closed before sending a byte. Malformed:
  // kInvalidArgument; head over the limit: kTooLarge (the caller answers 400/431 and closes).
  base::Task<std::optional<RequestHead>> read_head();

  // Decoded body bytes; 0 = the body has ended. Sends "100 Continue" first when the client waits
  // for it.
  base::Task<std::size_t> read_body(std::span<char> into);
  // The whole body; kTooLarge over `limit`.
  base::Task<std::string> read_full_body(std::size_t limit);

  // One complete response; adds Content-Length (not for 204, 304, 1xx) and Connection: close when
  // needed.
  base::Task<> send(Response response);

  // A streamed response: begin, write ..., end. Without Content-Length in the head it is chunked
  // (until close for HTTP/1.0). Each write is flushed. abort() instead of end() leaves the body
  // visibly incomplete.
  base::Task<> begin(ResponseHead head);
  base::Task<> write(std::string_view bytes);
  // Two views in one chunk (an envelope header and its payload).
  base::Task<> write(std::string_view first, std::string_view second);
  base::Task<> end();

  // After the handler: drains what is left of the request body (up to 256 KiB, else closes); true =
  // the connection can carry another request.
  base::Task<bool> finish_request();

  // True once any response byte was sent for this request.
  bool response_started() const { return response_started_; }
  bool response_complete() const { return response_complete_; }
  // The client leaves: completes when the peer closes or resets while a response is being produced.
  // Reads ahead into the buffer, up to the limit of a head; what comes is kept. Used to notice a
  // vanished stream subscriber, or one whose input nobody takes.
  base::Task<> wait_for_disconnect();

  void close_after_response() { keep_alive_ = false; }
  // For relays and tunnels (101): the stream, what was read ahead, and the request body's scanner.
  ByteStream& stream() { return stream_; }
  ReadBuffer& buffer() { return buffer_; }
  BodyScanner& body_scanner() { return scanner_; }
  // The relay wrote a whole response itself.
  void mark_response_relayed(bool keep_alive);
  // Sends "100 Continue" if the client asked for it and nothing was sent yet.
  base::Task<> continue_if_expected();
  // The current request (valid between read_head and the next read_head).
  const RequestHead& head() const { return head_; }

 private:
  base::Task<> send_head(const ResponseHead& head);
  base::Task<> wait_for_hangup();

  ByteStream& stream_;
  Limits limits_;
  ConnectionObserver* observer_ = nullptr;
  ReadBuffer buffer_;
  BodyScanner scanner_;
  RequestHead head_;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  bool response_started_ = false;
  bool response_complete_ = false;
  bool chunked_ = false;
  bool head_request_ = false;
  std::string pending_head_;  // a begun response's head, sent with its first write
};

// The client's side of one connection: for the reverse proxy and for tests.
class ClientConnection {
 public:
  explicit ClientConnection(ByteStream& stream, Limits limits = Limits{});

  // Writes the head as it is (Host and framing headers are the caller's), then `body` in the same
  // send.
  base::Task<> send_head(const RequestHead& head, std::string_view body = {});
  // The response head; 1xx other than 101 are skipped unless `interim` is set. `method` of the
  // request decides the framing (HEAD). A stream that ends before a head: kUnavailable.
  base::Task<ResponseHead> read_head(std::string_view method, bool interim = false);
  base::Task<std::size_t> read_body(std::span<char> into);
  base::Task<std::string> read_full_body(std::size_t limit);

  ByteStream& stream() { return stream_; }
  ReadBuffer& buffer() { return buffer_; }
  BodyScanner& body_scanner() { return scanner_; }

 private:
  ByteStream& stream_;
  Limits limits_;
  ReadBuffer buffer_;
  BodyScanner scanner_;
};

// Serialized head, ending with the empty line.
std::string serialize(const RequestHead& head);
std::string serialize(const ResponseHead& head);

// Parses a complete head (ending with an empty line). kInvalidArgument with the reason.
base::Result<RequestHead> parse_request_head(std::string_view bytes);
base::Result<ResponseHead> parse_response_head(std::string_view bytes,
                                               std::string_view request_method);
// Size of the head in `bytes` including the empty line, or 0 when it is not complete.
std::size_t head_size(std::string_view bytes);

using Handler = std::function<boost::asio::awaitable<void>(const RequestHead&, ServerConnection&)>;

// The server loop above: until the peer leaves, an error, or `handler` asked to close. Malformed
// heads are answered with a bare 400 (431 when too large).
boost::asio::awaitable<void> serve_connection(ByteStream& stream, const Handler& handler);

}  // namespace fakeapi::http
