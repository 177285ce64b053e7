// The Connect protocol's bytes: envelopes, error bodies, codes and their HTTP statuses, timeouts
// (contract-envd 2.1). Pure: no I/O, no messages. Used by connect_rpc and by tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::http {

enum class ConnectCode {
  kCanceled,
  kUnknown,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
};

std::string_view to_string(ConnectCode code);
// The status of a unary error response.
int http_status(ConnectCode code);

// What an RPC answers instead of a message. A base::Error converts: the one mapping from our codes
// to Connect's.
struct ConnectError {
  ConnectCode code = ConnectCode::kUnknown;
  std::string message;

  ConnectError() = default;
  ConnectError(ConnectCode c, std::string text) : code(c), message(std::move(text)) {}
  ConnectError(
      const base::Error& error);  // NOLINT(google-explicit-constructor): `return base::fail(...)`
};

using RpcStatus = tl::expected<void, ConnectError>;

inline tl::unexpected<ConnectError> rpc_fail(ConnectCode code, std::string message) {
  return tl::unexpected<ConnectError>(ConnectError(code, std::move(message)));
}

// The call's Connect-Timeout-Ms is over.
inline tl::unexpected<ConnectError> rpc_deadline_exceeded() {
  return rpc_fail(ConnectCode::kDeadlineExceeded, "context deadline exceeded");
}

inline RpcStatus to_status(const base::Result<>& result) {
  if (result) return {};
  return tl::unexpected<ConnectError>(result.error());
}

// {"code":"not_found","message":"..."}
std::string error_json(const ConnectError& error);
// The payload of the last envelope of a stream: {} or {"error":{...}}.
std::string end_stream_json(const RpcStatus& status);

inline constexpr std::uint8_t kFrameCompressed = 0x01;
inline constexpr std::uint8_t kFrameEndStream = 0x02;
inline constexpr std::size_t kFrameHeader = 5;

// Appends flags and big-endian length; the payload of `size` bytes follows.
void append_frame_header(std::string& out, std::uint8_t flags, std::size_t size);
void append_frame(std::string& out, std::uint8_t flags, std::string_view payload);

struct Frame {
  std::uint8_t flags = 0;
  std::string payload;
};

// Cuts envelopes out of a byte stream.
class FrameReader {
 public:
  explicit FrameReader(std::size_t limit = 64U << 20U) : limit_(limit) {}
  void feed(std::string_view bytes) {
    bytes_.erase(0, begin_);
    begin_ = 0;
    bytes_.append(bytes);
  }
  // The next complete envelope; nullopt = feed more. kTooLarge when one is over the limit (bytes of
  // payload).
  base::Result<std::optional<Frame>> next();
  // Bytes of an incomplete envelope are waiting: at the end of a body that is an error.
  bool incomplete() const { return begin_ < bytes_.size(); }

 private:
  std::size_t limit_;
  std::string bytes_;
  std::size_t begin_ = 0;  // many small envelopes in one piece are not moved once each
};

// Connect-Timeout-Ms: at most ten digits, milliseconds. kInvalidArgument for anything else.
base::Result<std::chrono::milliseconds> parse_connect_timeout(std::string_view text);

}  // namespace fakeapi::http
