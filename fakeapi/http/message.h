// HTTP messages as values: heads with ordered headers. No Beast, no I/O. Bodies travel through
// Connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fakeapi::http {

// ASCII case-insensitive equality, for header names and tokens.
bool iequals(std::string_view a, std::string_view b);
// Whether `text` can be a header's name or a method (RFC 9110 section 5.6.2).
bool is_token(std::string_view text);

// Headers in the order they came; names compare without case. Values are trimmed of surrounding
// blanks.
class Headers {
 public:
  using Item = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Item> items) : items_(items) {}

  // The first value with this name.
  std::optional<std::string_view> find(std::string_view name) const;
  // The first value or "".
  std::string_view get(std::string_view name) const { return find(name).value_or(""); }
  bool has(std::string_view name) const { return find(name).has_value(); }
  // Every value with this name, in order.
  std::vector<std::string_view> all(std::string_view name) const;
  // True when a comma-separated header (Connection, Transfer-Encoding, Accept) lists `token`.
  bool lists(std::string_view name, std::string_view token) const;

  void add(std::string name, std::string value) {
    items_.emplace_back(std::move(name), std::move(value));
  }
  // Replaces every header of this name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }

 private:
  std::vector<Item> items_;
};

// How a message's body is delimited on the wire (RFC 9112 section 6).
struct BodyFraming {
  enum class Kind { kNone, kLength, kChunked, kUntilClose };
  Kind kind = Kind::kNone;
  std::uint64_t length = 0;  // for kLength, bytes
};

struct RequestHead {
  std::string method;  // as sent: "GET"
  std::string target;  // as sent: "/files?path=a%20b"
  int minor_version = 1;
  Headers headers;
  BodyFraming framing;
  bool keep_alive = true;

  // The part of the target before '?', still percent-encoded. Of a target in absolute form
  // ("http://host/path?query": RFC 9112 3.2.2) without scheme and authority, too.
  std::string_view path() const;
  // The part after '?', without it; "" when there is none.
  std::string_view query() const;
  // Path and query, whatever form the target came in.
  std::string origin_form() const;
  // The Host header (or the authority of an absolute-form target), as sent, port included.
  std::string_view host() const;
};

struct ResponseHead {
  int status = 200;
  std::string reason;  // "" = the standard phrase
  int minor_version = 1;
  Headers headers;
  BodyFraming
      framing;  // filled by the parser; ignored by Connection, which frames by its own rules
  bool keep_alive = true;
};

// A complete response with its body in memory.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

std::string_view reason_phrase(int status);

// Percent-decoding of one path segment or query value; '+' stays a plus. Bad escapes stay as they
// are.
std::string percent_decode(std::string_view text);
// As above with '+' read as a space (application/x-www-form-urlencoded: query strings).
std::string form_decode(std::string_view text);
// Decoded key/value pairs of a query string, in order.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);
// First value of `key` in a query string, decoded.
std::optional<std::string> query_value(std::string_view query, std::string_view key);

}  // namespace fakeapi::http
