// The only file that sees Beast: complete heads in, values out, and back to bytes. Bodies never
// pass here.
#include <charconv>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include "fakeapi/http/connection.h"

namespace fakeapi::http {

namespace beast_http = boost::beast::http;

namespace {

template <class Fields>
Headers copy_headers(const Fields& fields) {
  Headers headers;
  for (const auto& field : fields) {
    headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  return headers;
}

template <class Parser>
base::Result<> parse(Parser& parser, std::string_view bytes) {
  parser.eager(false);
  parser.header_limit(static_cast<std::uint32_t>(bytes.size()) + 1);
  parser.body_limit(boost::none);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(bytes), error);
  if (error && error != beast_http::error::need_more) {
    return base::fail(base::Errc::kInvalidArgument, "malformed HTTP head: " + error.message());
  }
  if (!parser.is_header_done()) {
    return base::fail(base::Errc::kInvalidArgument, "malformed HTTP head: incomplete");
  }
  return {};
}

}  // namespace

std::string_view reason_phrase(int status) {
  auto known = beast_http::int_to_status(static_cast<unsigned>(status));
  if (known == beast_http::status::unknown) return "Unknown";
  auto text = beast_http::obsolete_reason(known);
  return {text.data(), text.size()};
}

std::size_t head_size(std::string_view bytes) {
  std::size_t end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4;
}

base::Result<RequestHead> parse_request_head(std::string_view bytes) {
  beast_http::request_parser<beast_http::empty_body> parser;
  SANDLOT_CHECK(parse(parser, bytes));
  const auto& message = parser.get();
  RequestHead head;
  head.method = std::string(message.method_string());
  head.target = std::string(message.target());
  head.minor_version = static_cast<int>(message.version() % 10);
  head.headers = copy_headers(message);
  head.keep_alive = parser.keep_alive();
  if (parser.chunked()) {
    head.framing.kind = BodyFraming::Kind::kChunked;
  } else if (auto length = parser.content_length(); length && *length > 0) {
    head.framing = {BodyFraming::Kind::kLength, *length};
  }
  return head;
}

base::Result<ResponseHead> parse_response_head(std::string_view bytes,
                                               std::string_view request_method) {
  beast_http::response_parser<beast_http::empty_body> parser;
  parser.skip(request_method == "HEAD");
  SANDLOT_CHECK(parse(parser, bytes));
  const auto& message = parser.get();
  ResponseHead head;
  head.status = static_cast<int>(message.result_int());
  head.reason = std::string(message.reason());
  head.minor_version = static_cast<int>(message.version() % 10);
  head.headers = copy_headers(message);
  bool bodiless =
      request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
  if (bodiless) {
    head.framing.kind = BodyFraming::Kind::kNone;
  } else if (parser.chunked()) {
    head.framing.kind = BodyFraming::Kind::kChunked;
  } else if (auto length = parser.content_length()) {
    head.framing = {BodyFraming::Kind::kLength, *length};
    if (*length == 0) head.framing.kind = BodyFraming::Kind::kNone;
  } else {
    head.framing.kind = BodyFraming::Kind::kUntilClose;
  }
  bool closes = head.headers.lists("Connection", "close");
  bool asks = head.headers.lists("Connection", "keep-alive");
  head.keep_alive = head.framing.kind != BodyFraming::Kind::kUntilClose && !closes &&
                    (head.minor_version >= 1 || asks);
  return head;
}

namespace {

void append_headers(std::string& text, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text.append("\r\n");
}

}  // namespace

std::string serialize(const RequestHead& head) {
  std::string text;
  text.reserve(512);
  text.append(head.method).append(" ").append(head.target);
  text.append(head.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  append_headers(text, head.headers);
  return text;
}

std::string serialize(const ResponseHead& head) {
  std::string text;
  text.reserve(512);
  text.append(head.minor_version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
  text.append(std::to_string(head.status)).append(" ");
  text.append(head.reason.empty() ? reason_phrase(head.status) : std::string_view(head.reason));
  text.append("\r\n");
  append_headers(text, head.headers);
  return text;
}

}  // namespace fakeapi::http
