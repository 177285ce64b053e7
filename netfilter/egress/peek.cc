#include "netfilter/egress/peek.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "netfilter/domain_pattern.h"

namespace netfilter::egress {

namespace {

constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kHandshakeHeader = 4;
constexpr std::size_t kLongestRecord = (16U << 10U) + 256;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kTlsMajor = 3;
constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kServerNameExtension = 0;
constexpr std::size_t kHostNameType = 0;

// Takes big-endian numbers and counted parts off the front; once something is missing, everything
// is.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool failed() const { return failed_; }
  bool empty() const { return rest_.empty(); }

  std::string_view take(std::size_t count) {
    if (failed_ || rest_.size() < count) {
      failed_ = true;
      return {};
    }
    std::string_view part = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return part;
  }
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (char c : take(bytes)) value = (value << 8U) | static_cast<std::uint8_t>(c);
    return value;
  }
  // A part that is preceded by its length in `bytes` bytes.
  std::string_view counted(std::size_t bytes) { return take(number(bytes)); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

std::string name_in_extension(std::string_view extension) {
  Reader outer(extension);
  Reader list(outer.counted(2));
  if (outer.failed() || !outer.empty()) return {};
  std::string name;
  while (!list.empty() && !list.failed()) {
    std::size_t type = list.number(1);
    std::string_view value = list.counted(2);
    if (list.failed() || type != kHostNameType || !name.empty()) return {};
    // An SNI has no port, and normalise_name would cut one off.
    if (value.find(':') != std::string_view::npos) return {};
    auto normalised = normalise_name(value);
    if (!normalised) return {};
    name = std::move(*normalised);
  }
  return list.failed() ? std::string() : name;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

bool equals_ignoring_case(std::string_view left, std::string_view lower) {
  return std::equal(left.begin(), left.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// One line without its end; nullopt when there is a carriage return anywhere else.
std::optional<std::string_view> take_line(std::string_view& rest) {
  auto end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos) {
    return std::nullopt;
  }
  return line;
}

struct RequestLine {
  std::string_view target;
  bool valid = false;
};

RequestLine parse_request_line(std::string_view line) {
  auto first = line.find(' ');
  auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {};
  std::string_view target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  bool valid = is_token(line.substr(0, first)) &&
               (version == "HTTP/1.1" || version == "HTTP/1.0") && !target.empty() &&
               target.find_first_of(" \t") == std::string_view::npos;
  // An authority-form target names another server than the one that is dialled.
  return {target, valid && line.substr(0, first) != "CONNECT"};
}

// "http://host[:port]/..." gives "host[:port]"; nullopt when the target is of another form.
std::optional<std::string_view> authority_of(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (!equals_ignoring_case(target.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  target.remove_prefix(kScheme.size());
  return target.substr(0, target.find_first_of("/?#"));
}

}  // namespace

PeekState TlsPeek::advance(std::string_view bytes) {
  for (;;) {
    std::string_view rest = bytes.substr(position_);
    if (!rest.empty() && static_cast<std::uint8_t>(rest[0]) != kHandshakeRecord) {
      return PeekState::kDone;
    }
    if (rest.size() < kRecordHeader) break;
    Reader header(rest.substr(1, kRecordHeader - 1));
    std::size_t major = header.number(1);
    header.number(1);
    std::size_t length = header.number(2);
    if (major != kTlsMajor || length == 0 || length > kLongestRecord) return PeekState::kDone;
    if (rest.size() < kRecordHeader + length) break;
    handshake_ += rest.substr(kRecordHeader, length);
    position_ += kRecordHeader + length;
    if (static_cast<std::uint8_t>(handshake_[0]) != kClientHello) return PeekState::kDone;
    if (handshake_.size() < kHandshakeHeader) continue;
    std::size_t wanted =
        kHandshakeHeader + Reader(std::string_view(handshake_).substr(1)).number(3);
    if (wanted > kPeekLimit) return PeekState::kDone;
    if (handshake_.size() >= wanted) {
      name_ = server_name_of(std::string_view(handshake_).substr(0, wanted));
      return PeekState::kDone;
    }
  }
  return bytes.size() < kPeekLimit ? PeekState::kNeedMore : PeekState::kDone;
}

std::string server_name_of(std::string_view handshake) {
  Reader message(handshake);
  if (message.number(1) != kClientHello) return {};
  Reader hello(message.counted(3));
  if (message.failed() || !message.empty()) return {};
  hello.take(2 + 32);  // version, random
  hello.counted(1);    // session id
  hello.counted(2);    // cipher suites
  hello.counted(1);    // compression methods
  Reader extensions(hello.counted(2));
  if (hello.failed() || !hello.empty()) return {};
  std::string name;
  bool seen = false;
  while (!extensions.empty()) {
    std::size_t type = extensions.number(2);
    std::string_view value = extensions.counted(2);
    if (extensions.failed()) return {};
    if (type != kServerNameExtension) continue;
    if (seen) return {};
    seen = true;
    name = name_in_extension(value);
  }
  return name;
}

PeekState HttpPeek::advance(std::string_view bytes) {
  if (!bytes.empty() && (bytes[0] < 'A' || bytes[0] > 'Z')) return PeekState::kDone;
  // The head ends with an empty line; a lone line feed ends a line too, as for most servers.
  for (auto at = bytes.find('\n', searched_); at != std::string_view::npos;
       at = bytes.find('\n', at + 1)) {
    std::string_view rest = bytes.substr(at + 1);
    if (rest.starts_with('\n') || rest.starts_with("\r\n")) {
      name_ = host_of(bytes.substr(0, at));
      return PeekState::kDone;
    }
    searched_ = at;
    if (rest.size() < 2) break;
  }
  return bytes.size() < kPeekLimit ? PeekState::kNeedMore : PeekState::kDone;
}

std::string host_of(std::string_view head) {
  auto first = take_line(head);
  if (!first) return {};
  RequestLine request = parse_request_line(*first);
  if (!request.valid) return {};
  std::optional<std::string_view> host;
  while (!head.empty()) {
    auto line = take_line(head);
    if (!line) return {};
    auto colon = line->find(':');
    if (colon == std::string_view::npos || !is_token(line->substr(0, colon))) return {};
    if (!equals_ignoring_case(line->substr(0, colon), "host")) continue;
    if (host) return {};
    host = trimmed(line->substr(colon + 1));
  }
  if (auto authority = authority_of(request.target)) host = *authority;
  if (!host) return {};
  return normalise_name(*host).value_or("");
}

}  // namespace netfilter::egress
