// Heads and chunked bodies as the agent and the API read them.
#include "fakeapi/envd/file_metadata.h"
#include "fakeapi/http/connection.h"
#include "tests/fuzz/target.h"

namespace http = fakeapi::http;
using tests::fuzz::require;

namespace {

// The payload of a body, and where it ended.
struct Body {
  std::string payload;
  std::size_t consumed = 0;
  bool malformed = false;
  bool done = false;
};

Body scan(http::BodyFraming framing, std::string_view bytes, std::size_t piece) {
  Body body;
  http::BodyScanner scanner(framing);
  while (!scanner.done() && body.consumed < bytes.size()) {
    std::string_view offered = bytes.substr(body.consumed, piece);
    auto step = scanner.next(offered);
    if (step.malformed) {
      body.malformed = true;
      break;
    }
    require(step.consumed > 0 && step.consumed <= offered.size(), "a step goes forward");
    require(step.payload_at + step.payload_size <= step.consumed, "payload lies in the step");
    body.payload += offered.substr(step.payload_at, step.payload_size);
    body.consumed += step.consumed;
  }
  body.done = scanner.done();
  return body;
}

void check_body(http::BodyFraming framing, std::string_view bytes) {
  Body whole = scan(framing, bytes, std::string_view::npos);
  Body pieces = scan(framing, bytes, 3);
  require(whole.malformed == pieces.malformed && whole.done == pieces.done &&
              whole.payload == pieces.payload,
          "pieces do not change a body");
  require(whole.malformed || whole.consumed == pieces.consumed, "pieces do not change its end");
  auto skipped = http::BodyScanner(framing).skip(bytes);
  require(skipped.has_value() != whole.malformed, "skipping and reading agree on what is wrong");
  require(!skipped || *skipped == whole.consumed, "skipping and reading agree on the end");
}

bool same_headers(const http::Headers& a, const http::Headers& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

FUZZ_TARGET(http_head) {
  std::size_t size = http::head_size(input);
  check_body({http::BodyFraming::Kind::kChunked, 0}, input);
  if (size == 0) return;
  std::string_view head_bytes = input.substr(0, size);
  if (auto head = http::parse_request_head(head_bytes)) {
    (void)head->path();
    (void)head->host();
    (void)http::parse_query(head->query());
    (void)fakeapi::envd::metadata_of(head->headers);
    check_body(head->framing, input.substr(size));
    auto again = http::parse_request_head(http::serialize(*head));
    require(again && again->method == head->method && again->target == head->target &&
                same_headers(again->headers, head->headers) &&
                again->framing.kind == head->framing.kind &&
                again->framing.length == head->framing.length,
            "a request that is written is read the same");
  }
  for (const char* method : {"GET", "HEAD"}) {
    auto head = http::parse_response_head(head_bytes, method);
    if (!head) continue;
    check_body(head->framing, input.substr(size));
  }
}
