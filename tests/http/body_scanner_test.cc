#include <string>

#include <gtest/gtest.h>

#include "fakeapi/http/connection.h"

namespace {

using fakeapi::http::BodyFraming;
using fakeapi::http::BodyScanner;

// Feeds `wire` in pieces of `piece` bytes: the payload, and how many bytes belonged to the body.
struct Outcome {
  std::string payload;
  std::size_t consumed = 0;
  bool malformed = false;
  bool done = false;
};

Outcome scan(BodyFraming framing, const std::string& wire, std::size_t piece) {
  BodyScanner scanner(framing);
  Outcome outcome;
  while (outcome.consumed < wire.size() && !scanner.done()) {
    std::string_view bytes = std::string_view(wire).substr(outcome.consumed, piece);
    BodyScanner::Step step = scanner.next(bytes);
    if (step.malformed) {
      outcome.malformed = true;
      break;
    }
    outcome.payload += bytes.substr(step.payload_at, step.payload_size);
    outcome.consumed += step.consumed;
  }
  outcome.done = scanner.done();
  return outcome;
}

constexpr BodyFraming kChunked{BodyFraming::Kind::kChunked, 0};

TEST(BodyScanner, FindsTheEndOfAChunkedBodyWhateverThePieces) {
  const std::string body = "5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: yes\r\n\r\n";
  const std::string wire = body + "GET / HTTP/1.1\r\n";
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    Outcome outcome = scan(kChunked, wire, piece);
    EXPECT_TRUE(outcome.done) << piece;
    EXPECT_EQ(outcome.payload, "hello world") << piece;
    EXPECT_EQ(outcome.consumed, body.size()) << piece;
  }
}

TEST(BodyScanner, RefusesBrokenChunks) {
  for (const char* wire :
       {"\r\n", "x\r\n", "5\nhello", "5\r\nhelloXX", "1111111111111111\r\n", "3\r\nabc\r\rx"}) {
    EXPECT_TRUE(scan(kChunked, wire, 64).malformed) << wire;
  }
}

TEST(BodyScanner, CountsALengthDelimitedBody) {
  Outcome outcome = scan({BodyFraming::Kind::kLength, 5}, "helloNEXT", 3);
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.payload, "hello");
  EXPECT_EQ(outcome.consumed, 5U);
}

TEST(BodyScanner, ABodyUntilCloseEndsOnlyWithTheStream) {
  BodyScanner scanner({BodyFraming::Kind::kUntilClose, 0});
  EXPECT_EQ(scanner.next("abc").payload_size, 3U);
  EXPECT_FALSE(scanner.done());
  scanner.end_of_stream();
  EXPECT_TRUE(scanner.done());
}

TEST(BodyScanner, AnEmptyLengthIsDoneAtOnce) {
  EXPECT_TRUE(BodyScanner({BodyFraming::Kind::kLength, 0}).done());
  EXPECT_TRUE(BodyScanner({BodyFraming::Kind::kNone, 0}).done());
}

}  // namespace
