#include "fakeapi/http/connect_frame.h"

#include <charconv>

#include "fakeapi/http/json_text.h"

namespace fakeapi::http {

using base::Errc;

namespace {

ConnectCode connect_code(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
      return ConnectCode::kInvalidArgument;
    case Errc::kUnauthenticated:
      return ConnectCode::kUnauthenticated;
    case Errc::kPermissionDenied:
      return ConnectCode::kPermissionDenied;
    case Errc::kNotFound:
      return ConnectCode::kNotFound;
    case Errc::kAlreadyExists:
      return ConnectCode::kAlreadyExists;
    case Errc::kConflict:
      return ConnectCode::kAborted;
    case Errc::kFailedPrecondition:
      return ConnectCode::kFailedPrecondition;
    case Errc::kResourceExhausted:
    case Errc::kNoSpace:
    case Errc::kTooLarge:
      return ConnectCode::kResourceExhausted;
    case Errc::kUnavailable:
      return ConnectCode::kUnavailable;
    case Errc::kDeadlineExceeded:
      return ConnectCode::kDeadlineExceeded;
    case Errc::kCanceled:
      return ConnectCode::kCanceled;
    case Errc::kUnimplemented:
      return ConnectCode::kUnimplemented;
    case Errc::kInternal:
      return ConnectCode::kInternal;
  }
  return ConnectCode::kUnknown;
}

}  // namespace

std::string_view to_string(ConnectCode code) {
  switch (code) {
    case ConnectCode::kCanceled:
      return "canceled";
    case ConnectCode::kUnknown:
      return "unknown";
    case ConnectCode::kInvalidArgument:
      return "invalid_argument";
    case ConnectCode::kDeadlineExceeded:
      return "deadline_exceeded";
    case ConnectCode::kNotFound:
      return "not_found";
    case ConnectCode::kAlreadyExists:
      return "already_exists";
    case ConnectCode::kPermissionDenied:
      return "permission_denied";
    case ConnectCode::kResourceExhausted:
      return "resource_exhausted";
    case ConnectCode::kFailedPrecondition:
      return "failed_precondition";
    case ConnectCode::kAborted:
      return "aborted";
    case ConnectCode::kOutOfRange:
      return "out_of_range";
    case ConnectCode::kUnimplemented:
      return "unimplemented";
    case ConnectCode::kInternal:
      return "internal";
    case ConnectCode::kUnavailable:
      return "unavailable";
    case ConnectCode::kDataLoss:
      return "data_loss";
    case ConnectCode::kUnauthenticated:
      return "unauthenticated";
  }
  return "unknown";
}

int http_status(ConnectCode code) {
  switch (code) {
    case ConnectCode::kCanceled:
      return 499;
    case ConnectCode::kUnknown:
      return 500;
    case ConnectCode::kInvalidArgument:
      return 400;
    case ConnectCode::kDeadlineExceeded:
      return 504;
    case ConnectCode::kNotFound:
      return 404;
    case ConnectCode::kAlreadyExists:
      return 409;
    case ConnectCode::kPermissionDenied:
      return 403;
    case ConnectCode::kResourceExhausted:
      return 429;
    case ConnectCode::kFailedPrecondition:
      return 400;
    case ConnectCode::kAborted:
      return 409;
    case ConnectCode::kOutOfRange:
      return 400;
    case ConnectCode::kUnimplemented:
      return 501;
    case ConnectCode::kInternal:
      return 500;
    case ConnectCode::kUnavailable:
      return 503;
    case ConnectCode::kDataLoss:
      return 500;
    case ConnectCode::kUnauthenticated:
      return 401;
  }
  return 500;
}

ConnectError::ConnectError(const base::Error& error)
    : code(connect_code(error.code())), message(error.message()) {}

std::string error_json(const ConnectError& error) {
  std::string out = R"({"code":")";
  out.append(to_string(error.code)).append("\"");
  if (!error.message.empty()) {
    out.append(R"(,"message":)");
    append_json_string(out, error.message);
  }
  out.push_back('}');
  return out;
}

std::string end_stream_json(const RpcStatus& status) {
  if (status) return "{}";
  return R"({"error":)" + error_json(status.error()) + "}";
}

void append_frame_header(std::string& out, std::uint8_t flags, std::size_t size) {
  out.push_back(static_cast<char>(flags));
  for (unsigned shift : {24U, 16U, 8U, 0U}) {
    out.push_back(static_cast<char>(static_cast<unsigned char>((size >> shift) & 0xFFU)));
  }
}

void append_frame(std::string& out, std::uint8_t flags, std::string_view payload) {
  append_frame_header(out, flags, payload.size());
  out.append(payload);
}

base::Result<std::optional<Frame>> FrameReader::next() {
  std::string_view rest = std::string_view(bytes_).substr(begin_);
  if (rest.size() < kFrameHeader) return std::optional<Frame>();
  std::size_t size = 0;
  for (std::size_t i = 1; i < kFrameHeader; ++i) {
    size = (size << 8U) | static_cast<unsigned char>(rest[i]);
  }
  if (size > limit_) return base::fail(Errc::kTooLarge, "message is too large");
  if (rest.size() - kFrameHeader < size) return std::optional<Frame>();
  Frame frame;
  frame.flags = static_cast<std::uint8_t>(rest[0]);
  frame.payload = rest.substr(kFrameHeader, size);
  begin_ += kFrameHeader + size;
  return std::optional<Frame>(std::move(frame));
}

base::Result<std::chrono::milliseconds> parse_connect_timeout(std::string_view text) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool digits = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (!digits || text.size() > 10 || error != std::errc() || end != text.data() + text.size()) {
    return base::fail(Errc::kInvalidArgument,
                      "parse timeout: \"" + std::string(text) + "\" is not a positive integer");
  }
  return std::chrono::milliseconds(value);
}

}  // namespace fakeapi::http
