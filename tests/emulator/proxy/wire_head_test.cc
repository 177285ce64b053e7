#include "emulator/proxy/wire_head.h"

#include <gtest/gtest.h>

namespace emulator::proxy {
namespace {

using Kind = fakeapi::http::BodyFraming::Kind;

std::string request(const std::string& headers, const std::string& line = "GET / HTTP/1.1") {
  return line + "\r\nHost: h\r\n" + headers + "\r\n";
}

TEST(WireHead, RefusesWhatTwoReadersCouldReadDifferently) {
  WireHead head;
  for (const std::string& bytes : {
           request("Content-Length: 3\r\nContent-Length: 4\r\n"),
           request("Content-Length: 3, 3\r\n"),
           request("Content-Length: +3\r\n"),
           request("Content-Length: \r\n"),
           request("Content-Length: 99999999999999999999\r\n"),
           request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
           request("Transfer-Encoding: gzip, chunked\r\n"),
           request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
           request("Transfer-Encoding: xchunked\r\n"),
           request("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0"),
           request("X : 1\r\n"),
           request(" X: 1\r\n"),
           request("X: 1\n"),
           request("X: a\rb\r\n"),
           request(std::string("X: a\0b\r\n", 8)),
           request("no colon\r\n"),
           request("", "GET /a b HTTP/1.1"),
           request("", "GET /a\tb HTTP/1.1"),
           request("", "GET http://h\t/ HTTP/1.1"),
           request("", "GET  HTTP/1.1"),
           request("", "GET / HTTP/2.0"),
           request("", "GET / HTTP/1.1x"),
           request("", "G@T / HTTP/1.1"),
           std::string("GET / HTTP/1.1\r\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
       }) {
    EXPECT_FALSE(parse_request(bytes, head).has_value()) << bytes;
  }
}

TEST(WireHead, ReadsFramingAndPersistenceOfRequests) {
  WireHead head;
  std::string bytes = request("content-length: 5\r\nContent-Length: 5\r\n");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  EXPECT_EQ(head.framing.kind, Kind::kLength);
  EXPECT_EQ(head.framing.length, 5U);
  EXPECT_TRUE(head.keep_alive);
  std::string out;
  write_request(head, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: h\r\ncontent-length: 5\r\n\r\n");
  bytes = request("Connection: foo, CLOSE\r\n");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  EXPECT_FALSE(head.keep_alive);
  bytes = request("", "GET / HTTP/1.0");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  EXPECT_FALSE(head.keep_alive);
  bytes = request("Connection: Keep-Alive\r\n", "GET / HTTP/1.0");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  EXPECT_TRUE(head.keep_alive);
}

TEST(WireHead, TakesTheAuthorityOfAnAbsoluteTarget) {
  WireHead head;
  std::string bytes = request("", "GET http://3000-abc.localhost:1/p?q HTTP/1.1");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  EXPECT_EQ(head.host, "3000-abc.localhost:1");
  EXPECT_EQ(head.target, "/p?q");
  std::string out;
  write_request(head, out);
  EXPECT_EQ(out, "GET /p?q HTTP/1.1\r\nHost: 3000-abc.localhost:1\r\n\r\n");
}

TEST(WireHead, Net66Net69Net72AMaskReplacesHostAndKeepsWhatCame) {
  WireHead head;
  std::string bytes = request("X-Forwarded-Host: forged\r\nOrigin: https://h\r\n");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  std::string out;
  write_request(head, out, "localhost:8080");
  EXPECT_EQ(out,
            "GET / HTTP/1.1\r\nHost: localhost:8080\r\nX-Forwarded-Host: h\r\n"
            "Origin: https://h\r\n\r\n");
  out.clear();
  write_request(head, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://h\r\n\r\n");
}

TEST(WireHead, AMaskReplacesTheAuthorityOfAnAbsoluteTarget) {
  WireHead head;
  ASSERT_TRUE(parse_request("GET http://h:80/a HTTP/1.1\r\nHost: x\r\n\r\n", head).has_value());
  std::string out;
  write_request(head, out, "m");
  EXPECT_EQ(out, "GET /a HTTP/1.1\r\nHost: m\r\nX-Forwarded-Host: h:80\r\n\r\n");
}

TEST(WireHead, AnAuthorityWithoutAHostHeaderBecomesOne) {
  WireHead head;
  ASSERT_TRUE(parse_request("GET http://h:80/a HTTP/1.0\r\n\r\n", head).has_value());
  std::string out;
  write_request(head, out);
  EXPECT_EQ(out, "GET /a HTTP/1.1\r\nHost: h:80\r\n\r\n");
  ASSERT_TRUE(parse_request("GET http://h?a://b HTTP/1.1\r\nHost: x\r\n\r\n", head).has_value());
  out.clear();
  write_request(head, out);
  EXPECT_EQ(out, "GET /?a://b HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(WireHead, ConnectionMayNotNameSoManyHeadersThatLookingForThemTakesLong) {
  WireHead head;
  std::string names = "Connection: a";
  for (int i = 1; i < 64; ++i) names += ",a";
  EXPECT_TRUE(parse_request(request(names + "\r\n"), head).has_value());
  EXPECT_FALSE(parse_request(request(names + ",a\r\n"), head).has_value());
  std::string answer = "HTTP/1.1 200 OK\r\n" + names + "\r\nConnection: b\r\n\r\n";
  EXPECT_FALSE(parse_response(answer, false, head).has_value());
}

TEST(WireHead, ConnectionCannotNameAwayFramingOrHost) {
  WireHead head;
  std::string bytes =
      request("Connection: Host, Content-Length, X-Gone\r\nContent-Length: 1\r\nX-Gone: 1\r\n");
  ASSERT_TRUE(parse_request(bytes, head).has_value());
  std::string out;
  write_request(head, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
}

TEST(WireHead, ReadsResponsesLeniently) {
  WireHead head;
  std::string bytes = "HTTP/1.0 200 OK\nContent-Type: text/plain\n\n";
  ASSERT_TRUE(parse_response(bytes, false, head).has_value());
  EXPECT_EQ(head.framing.kind, Kind::kUntilClose);
  EXPECT_FALSE(head.keep_alive);
  bytes = "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(parse_response(bytes, false, head).has_value());
  EXPECT_EQ(head.framing.kind, Kind::kNone);
  std::string out;
  write_response(head, {}, out);
  EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  for (const char* nonsense :
       {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 99 X\r\n\r\n", "HTTP/1.1 2000 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"}) {
    EXPECT_FALSE(parse_response(nonsense, false, head).has_value()) << nonsense;
  }
}

TEST(WireHead, AnEncodingBeatsALengthInResponses) {
  WireHead head;
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
  ASSERT_TRUE(parse_response(bytes, false, head).has_value());
  EXPECT_EQ(head.framing.kind, Kind::kChunked);
  std::string out;
  write_response(head, {}, out);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(WireHead, FindsTheEndOfAHeadHoweverItArrives) {
  for (std::string whole :
       {"GET / HTTP/1.1\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "A\r\n\n"}) {
    std::size_t scanned = 0;
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(find_head_end(std::string_view(whole).substr(0, n), scanned), 0U) << n;
    }
    EXPECT_EQ(find_head_end(whole + "body\r\n\r\n", scanned), whole.size());
    scanned = 0;
    EXPECT_EQ(find_head_end(whole + "body\r\n\r\n", scanned), whole.size());
  }
}

}  // namespace
}  // namespace emulator::proxy
