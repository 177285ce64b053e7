// Heads as the relay reads them. What it passes on must mean the same to the next reader: a request
// whose end two parsers place differently is how requests are smuggled.
#include "emulator/proxy/wire_head.h"
#include "fakeapi/http/connection.h"
#include "tests/fuzz/target.h"

namespace proxy = emulator::proxy;
namespace http = fakeapi::http;
using http::BodyFraming;
using tests::fuzz::require;

namespace {

bool same(const BodyFraming& a, const BodyFraming& b) {
  auto length = [](const BodyFraming& framing) {
    return framing.kind == BodyFraming::Kind::kLength ? framing.length : 0;
  };
  return a.kind == b.kind && length(a) == length(b);
}

// Written out, there is exactly one head.
void check_end(std::string_view written) {
  std::size_t scanned = 0;
  require(proxy::find_head_end(written, scanned) == written.size(), "one head is written");
  require(http::head_size(written) == written.size(), "and others see one head, too");
}

void check_request(std::string_view bytes) {
  proxy::WireHead head;
  if (!proxy::parse_request(bytes, head)) return;
  (void)head.path();
  if (head.host.empty()) return;  // the front door refuses it: HTTP/1.0 alone may lack it
  require(!head.target.empty(), "a request has a target");
  std::string written;
  proxy::write_request(head, written);
  check_end(written);
  proxy::WireHead again;
  require(proxy::parse_request(written, again).has_value(), "we read what we write");
  std::string target(head.target);
  if (target.front() == '?') target.insert(0, "/");
  require(again.method == head.method && again.target == target && again.host == head.host,
          "method, target and host stay");
  require(same(again.framing, head.framing), "the body's length stays");
  require(again.upgrade == head.upgrade, "an upgrade stays one");
  // The agent's parser may refuse what the relay lets through, but never see another body.
  auto other = http::parse_request_head(written);
  require(!other || same(other->framing, head.framing), "the agent sees the same body");
  require(!other || other->method == head.method, "the agent sees the same method");
}

void check_response(std::string_view bytes, bool head_request, proxy::Reframe reframe) {
  proxy::WireHead head;
  if (!proxy::parse_response(bytes, head_request, head)) return;
  if (reframe != proxy::Reframe::kAsIs && head.framing.kind != BodyFraming::Kind::kUntilClose)
    reframe = proxy::Reframe::kAsIs;
  std::string written;
  proxy::ResponseRewrite rewrite;
  rewrite.reframe = reframe;
  rewrite.keep_alive = head.keep_alive;
  proxy::write_response(head, rewrite, written);
  check_end(written);
  proxy::WireHead again;
  require(proxy::parse_response(written, head_request, again).has_value(), "we read what we write");
  require(again.status == head.status, "the status stays");
  BodyFraming expected = head.framing;
  if (reframe == proxy::Reframe::kToChunked) expected = {BodyFraming::Kind::kChunked, 0};
  require(same(again.framing, expected), "the body's length is the one meant");
  auto other = http::parse_response_head(written, head_request ? "HEAD" : "GET");
  require(!other || same(other->framing, expected), "a client sees the same body");
}

}  // namespace

// Byte 0: how a response is framed anew; then a head.
FUZZ_TARGET(wire_head) {
  tests::fuzz::Input in(input);
  std::uint8_t mode = in.byte();
  std::string_view bytes = in.rest();
  std::size_t scanned = 0;
  std::size_t end = proxy::find_head_end(bytes, scanned);
  // Byte by byte it is found at the same place.
  std::size_t piecewise = 0;
  std::size_t piecewise_scanned = 0;
  for (std::size_t i = 1; i <= bytes.size() && piecewise == 0; ++i) {
    piecewise = proxy::find_head_end(bytes.substr(0, i), piecewise_scanned);
  }
  require(end == piecewise, "pieces do not change where a head ends");
  if (end == 0) return;
  check_request(bytes.substr(0, end));
  auto reframe = (mode & 2U) != 0 ? proxy::Reframe::kToChunked : proxy::Reframe::kAsIs;
  check_response(bytes.substr(0, end), (mode & 1U) != 0, reframe);
}
