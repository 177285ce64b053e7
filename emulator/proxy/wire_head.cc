#include "emulator/proxy/wire_head.h"

#include <array>
#include <charconv>
#include <cstring>

namespace emulator::proxy {

using base::Errc;
using fakeapi::http::BodyFraming;
using fakeapi::http::iequals;

namespace {

constexpr std::size_t kMaxNamed = 64;

base::Failure malformed(const char* reason) {
  return base::fail(Errc::kInvalidArgument, reason);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    table[c] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

bool is_token(std::string_view text) {
  for (char c : text) {
    if (!kToken[static_cast<unsigned char>(c)]) return false;
  }
  return !text.empty();
}

bool has_control(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return true;
  }
  return false;
}

// Calls `visit` with each element of a comma-separated list.
template <class Visit>
void for_each_token(std::string_view list, Visit visit) {
  while (!list.empty()) {
    std::size_t comma = list.find(',');
    std::string_view token = trim(list.substr(0, comma));
    if (!token.empty()) visit(token);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

// What must be noticed while the headers go by.
struct Seen {
  std::string_view length;
  std::string_view upgrade;
  int hosts = 0;
  bool bad_length = false;
  bool encoded = false;  // any Transfer-Encoding
  bool chunked = false;  // and it is exactly "chunked"
  bool close = false;
  bool keep_alive = false;
  bool upgrade_token = false;
  std::size_t named_headers = 0;  // Connection names headers of its own
};

void note_connection(std::string_view value, Seen& seen) {
  for_each_token(value, [&seen](std::string_view token) {
    if (iequals(token, "close")) {
      seen.close = true;
    } else if (iequals(token, "keep-alive")) {
      seen.keep_alive = true;
    } else if (iequals(token, "upgrade")) {
      seen.upgrade_token = true;
    } else {
      ++seen.named_headers;
    }
  });
}

void note_length(HeaderView& header, Seen& seen) {
  bool digits = !header.value.empty();
  for (char c : header.value) digits = digits && c >= '0' && c <= '9';
  if (!digits || (!seen.length.empty() && seen.length != header.value)) seen.bad_length = true;
  // A repeated, equal Content-Length goes on once.
  if (!seen.length.empty()) header.hop = true;
  seen.length = header.value;
}

// Sets `hop` and remembers what decides framing and connection. By length first: most names match
// nothing.
void classify(HeaderView& header, bool request, WireHead& head, Seen& seen) {
  std::string_view name = header.name;
  switch (name.size()) {
    case 2:
      if (iequals(name, "TE")) {
        header.hop = true;
        for_each_token(header.value, [&head](std::string_view token) {
          if (iequals(token, "trailers")) head.wants_trailers = true;
        });
      }
      break;
    case 4:
      if (request && iequals(name, "Host")) {
        ++seen.hosts;
        head.host = header.value;
      }
      break;
    case 6:
      if (request && iequals(name, "Expect") && iequals(header.value, "100-continue"))
        head.expects_continue = true;
      break;
    case 7:
      if (iequals(name, "Upgrade")) {
        header.hop = true;
        seen.upgrade = header.value;
      }
      break;
    case 9:
      if (request && iequals(name, "Forwarded")) header.hop = true;
      break;
    case 10:
      if (iequals(name, "Connection")) {
        header.hop = true;
        note_connection(header.value, seen);
      } else if (iequals(name, "Keep-Alive")) {
        header.hop = true;
      }
      break;
    case 14:
      if (iequals(name, "Content-Length")) note_length(header, seen);
      break;
    case 15:
      if (request && iequals(name, "X-Forwarded-For")) header.hop = true;
      break;
    case 16:
      if (iequals(name, "Proxy-Connection")) header.hop = true;
      if (request && iequals(name, "X-Forwarded-Host")) header.hop = true;
      break;
    case 17:
      if (iequals(name, "Transfer-Encoding")) {
        header.hop = true;
        seen.chunked = !seen.encoded && iequals(header.value, "chunked");
        seen.encoded = true;
      } else if (request && iequals(name, "X-Forwarded-Proto")) {
        header.hop = true;
      }
      break;
    case 18:
      if (iequals(name, "Proxy-Authenticate")) header.hop = true;
      break;
    case 19:
      if (iequals(name, "Proxy-Authorization")) header.hop = true;
      break;
    default:
      break;
  }
}

// Headers that Connection names are hop-by-hop too; framing and Host cannot be named away.
void drop_named(WireHead& head) {
  for (const HeaderView& connection : head.headers) {
    if (!iequals(connection.name, "Connection")) continue;
    for_each_token(connection.value, [&head](std::string_view token) {
      if (iequals(token, "Host") || iequals(token, "Content-Length")) return;
      for (HeaderView& header : head.headers) {
        if (iequals(header.name, token)) header.hop = true;
      }
    });
  }
}

// The next line without its end; `strict`: only CRLF ends a line.
base::Result<std::string_view> next_line(std::string_view& rest, bool strict) {
  std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return malformed("head is not complete");
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  } else if (strict) {
    return malformed("a line ends without CR");
  }
  return line;
}

base::Result<> parse_headers(std::string_view rest, bool request, WireHead& head, Seen& seen) {
  for (;;) {
    SANDLOT_TRY(std::string_view line, next_line(rest, request));
    if (line.empty()) break;
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("header without a colon");
    HeaderView header{line.substr(0, colon), trim(line.substr(colon + 1))};
    if (!is_token(header.name)) return malformed("bad header name");
    if (has_control(header.value)) return malformed("control character in a header value");
    classify(header, request, head, seen);
    head.headers.push_back(header);
  }
  if (seen.upgrade_token) head.upgrade = seen.upgrade;
  // Each name is looked for in every header: with a long head that would hold up everybody.
  if (seen.named_headers > kMaxNamed) return malformed("Connection names too many headers");
  if (seen.named_headers > 0) drop_named(head);
  return {};
}

base::Result<std::uint64_t> length_of(const Seen& seen) {
  std::uint64_t length = 0;
  const char* end = seen.length.data() + seen.length.size();
  auto [stop, error] = std::from_chars(seen.length.data(), end, length);
  if (seen.bad_length || error != std::errc() || stop != end)
    return malformed("bad Content-Length");
  return length;
}

void reset(WireHead& head) {
  head.method = head.target = head.reason = head.host = head.upgrade = {};
  head.status = 0;
  head.headers.clear();
  head.framing = {};
  head.expects_continue = head.wants_trailers = false;
}

base::Result<> parse_version(std::string_view text, WireHead& head) {
  if (text == "HTTP/1.1") {
    head.minor_version = 1;
  } else if (text == "HTTP/1.0") {
    head.minor_version = 0;
  } else {
    return malformed("unsupported HTTP version");
  }
  return {};
}

// "http://host/path" -> "/path"; the authority replaces Host (RFC 9112 3.2.2).
void take_authority(WireHead& head) {
  std::size_t scheme = head.target.find("://");
  if (head.target.front() == '/' || scheme == std::string_view::npos) return;
  std::string_view rest = head.target.substr(scheme + 3);
  std::size_t end = rest.find_first_of("/?");
  head.host = rest.substr(0, end);
  head.target = end == std::string_view::npos ? std::string_view("/") : rest.substr(end);
  bool has_host = false;
  for (HeaderView& header : head.headers) {
    if (!iequals(header.name, "Host")) continue;
    header.value = head.host;
    has_host = true;
  }
  // HTTP/1.0 need not send one, but what goes on is HTTP/1.1.
  if (!has_host) head.headers.push_back({"Host", head.host});
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view WireHead::get(std::string_view name) const {
  for (const HeaderView& header : headers) {
    if (header.name.size() == name.size() && iequals(header.name, name)) return header.value;
  }
  return {};
}

std::size_t find_head_end(std::string_view bytes, std::size_t& scanned) {
  std::size_t at = scanned;
  for (;;) {
    at = bytes.find('\n', at);
    if (at == std::string_view::npos) break;
    std::string_view after = bytes.substr(at + 1, 2);
    if (!after.empty() && after.front() == '\n') return at + 2;
    if (after == "\r\n") return at + 3;
    // Too little to know: look at this line end again.
    if (after.size() < 2 && (after.empty() || after.front() == '\r')) {
      scanned = at;
      return 0;
    }
    ++at;
  }
  scanned = bytes.size();
  return 0;
}

base::Result<> parse_request(std::string_view bytes, WireHead& head) {
  reset(head);
  std::string_view rest = bytes;
  SANDLOT_TRY(std::string_view line, next_line(rest, true));
  std::size_t first = line.find(' ');
  std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return malformed("bad request line");
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.method) || head.target.empty() || has_control(head.target) ||
      head.target.find_first_of(" \t") != std::string_view::npos) {
    return malformed("bad request line");
  }
  SANDLOT_CHECK(parse_version(line.substr(last + 1), head));
  Seen seen;
  SANDLOT_CHECK(parse_headers(rest, true, head, seen));
  take_authority(head);
  if (seen.hosts > 1) return malformed("more than one Host");
  if (seen.hosts == 0 && head.minor_version == 1) return malformed("missing required Host header");
  if (seen.encoded) {
    // Both, or an encoding that is not the last word on the length: request smuggling (RFC
    // 9112 6.1).
    if (!seen.length.empty() || seen.bad_length) return malformed("both lengths");
    if (!seen.chunked || head.minor_version == 0) return malformed("unsupported transfer encoding");
    head.framing.kind = BodyFraming::Kind::kChunked;
  } else if (!seen.length.empty() || seen.bad_length) {
    SANDLOT_TRY(head.framing.length, length_of(seen));
    if (head.framing.length > 0) head.framing.kind = BodyFraming::Kind::kLength;
  }
  head.keep_alive = head.minor_version == 1 ? !seen.close : seen.keep_alive && !seen.close;
  return {};
}

base::Result<> parse_response(std::string_view bytes, bool head_request, WireHead& head) {
  reset(head);
  std::string_view rest = bytes;
  SANDLOT_TRY(std::string_view line, next_line(rest, false));
  if (line.size() < 12 || line[8] != ' ') return malformed("bad status line");
  SANDLOT_CHECK(parse_version(line.substr(0, 8), head));
  auto [stop, error] = std::from_chars(line.data() + 9, line.data() + 12, head.status);
  if (error != std::errc() || stop != line.data() + 12 || head.status < 100 ||
      (line.size() > 12 && line[12] != ' ')) {
    return malformed("bad status line");
  }
  head.reason = line.size() > 13 ? line.substr(13) : std::string_view();
  if (has_control(head.reason)) return malformed("bad status line");
  Seen seen;
  SANDLOT_CHECK(parse_headers(rest, false, head, seen));
  bool bodiless = head_request || head.status < 200 || head.status == 204 || head.status == 304;
  if (seen.encoded && !bodiless) {
    // Transfer-Encoding overrides a Content-Length (RFC 9112 6.3).
    for (HeaderView& header : head.headers) {
      if (iequals(header.name, "Content-Length")) header.hop = true;
    }
    head.framing.kind = seen.chunked ? BodyFraming::Kind::kChunked : BodyFraming::Kind::kUntilClose;
  } else if (!bodiless && (!seen.length.empty() || seen.bad_length)) {
    SANDLOT_TRY(head.framing.length, length_of(seen));
    if (head.framing.length > 0) head.framing.kind = BodyFraming::Kind::kLength;
  } else if (!bodiless) {
    head.framing.kind = BodyFraming::Kind::kUntilClose;
  }
  head.keep_alive = head.minor_version == 1 ? !seen.close : seen.keep_alive && !seen.close;
  if (head.framing.kind == BodyFraming::Kind::kUntilClose) head.keep_alive = false;
  return {};
}

void write_request(const WireHead& head, std::string& out, std::string_view masked_host) {
  out.append(head.method).append(" ");
  // "http://host?query": the path is empty, and written as "/" (RFC 9112 3.2.1).
  if (head.target.front() == '?') out.append("/");
  out.append(head.target).append(" HTTP/1.1\r\n");
  for (const HeaderView& header : head.headers) {
    if (header.hop) continue;
    if (!masked_host.empty() && iequals(header.name, "Host")) {
      append_line(out, header.name, masked_host);
      append_line(out, "X-Forwarded-Host", header.value);
    } else {
      append_line(out, header.name, header.value);
    }
  }
  if (head.framing.kind == BodyFraming::Kind::kChunked)
    out.append("Transfer-Encoding: chunked\r\n");
  if (head.wants_trailers) out.append("TE: trailers\r\n");
  if (!head.upgrade.empty()) {
    out.append("Connection: Upgrade\r\n");
    append_line(out, "Upgrade", head.upgrade);
  }
  out.append("\r\n");
}

void write_response(const WireHead& head, const ResponseRewrite& rewrite, std::string& out) {
  std::array<char, 4> status{};
  std::to_chars(status.data(), status.data() + status.size(), head.status);
  out.append("HTTP/1.1 ").append(status.data()).append(" ");
  out.append(head.reason.empty() ? fakeapi::http::reason_phrase(head.status) : head.reason);
  out.append("\r\n");
  for (const HeaderView& header : head.headers) {
    if (!header.hop) append_line(out, header.name, header.value);
  }
  bool chunked =
      rewrite.reframe == Reframe::kToChunked ||
      (rewrite.reframe == Reframe::kAsIs && head.framing.kind == BodyFraming::Kind::kChunked);
  if (chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (head.status == 101) {
    out.append("Connection: Upgrade\r\n");
    if (!head.upgrade.empty()) append_line(out, "Upgrade", head.upgrade);
  } else if (head.status < 200) {
    // Interim answers say nothing about the connection.
  } else if (!rewrite.keep_alive) {
    out.append("Connection: close\r\n");
  } else if (rewrite.client_minor_version == 0) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

}  // namespace emulator::proxy
