#include <string>

#include <gtest/gtest.h>

#include "fakeapi/http/connection.h"

namespace {

using namespace fakeapi::http;
using Kind = BodyFraming::Kind;

TEST(RequestHeadParser, KeepsTargetHeadersAndTheirCase) {
  auto head = parse_request_head(
      "POST /a%2Fb?x=1 HTTP/1.1\r\nHost: api.localhost:7463\r\nX-Odd-Case:  v \r\n\r\n");
  ASSERT_TRUE(head) << head.error().message();
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->path(), "/a%2Fb");
  EXPECT_EQ(head->query(), "x=1");
  EXPECT_EQ(head->host(), "api.localhost:7463");
  EXPECT_EQ(head->headers.get("x-odd-case"), "v");
  EXPECT_EQ(std::next(head->headers.begin())->first, "X-Odd-Case");
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(head->framing.kind, Kind::kNone);
}

TEST(RequestHeadParser, DecidesTheFraming) {
  auto chunked =
      parse_request_head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(chunked);
  EXPECT_EQ(chunked->framing.kind, Kind::kChunked);
  auto length = parse_request_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
  ASSERT_TRUE(length);
  EXPECT_EQ(length->framing.kind, Kind::kLength);
  EXPECT_EQ(length->framing.length, 12U);
}

TEST(RequestHeadParser, RefusesWhatCouldBeReadTwoWays) {
  for (const char* wire : {
           "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
           "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
           "GET  / HTTP/1.1\r\n\r\n",
           "GET / HTTP/2.5\r\n\r\n",
           "\x16\x03\x01 / HTTP/1.1\r\n\r\n",
       }) {
    EXPECT_FALSE(parse_request_head(wire)) << wire;
  }
}

TEST(ResponseHeadParser, KnowsWhenThereIsNoBody) {
  auto framing = [](const char* wire, const char* method) {
    auto head = parse_response_head(wire, method);
    return head ? head->framing.kind : Kind::kUntilClose;
  };
  EXPECT_EQ(framing("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "GET"), Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"), Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET"), Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "GET"),
            Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "GET"), Kind::kLength);
}

TEST(ResponseHeadParser, ReadsAnOldServersCloseDelimitedBody) {
  auto head = parse_response_head("HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6\r\n\r\n", "GET");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->framing.kind, Kind::kUntilClose);
  EXPECT_FALSE(head->keep_alive);
}

TEST(Message, DecodesQueriesOnce) {
  EXPECT_EQ(query_value("path=%2Fa+b%2541&x", "path"), "/a b%41");
  EXPECT_EQ(query_value("path=%2Fa&x", "x"), "");
  EXPECT_FALSE(query_value("path=1", "nope"));
  EXPECT_EQ(percent_decode("a+b%2"), "a+b%2");
}

TEST(Message, ReadsATargetInAbsoluteFormAsOneInOriginForm) {
  auto head = [](const std::string& target) {
    RequestHead made;
    made.target = target;
    made.headers.add("Host", "other.test");
    return made;
  };
  RequestHead absolute = head("HTTP://a.test:81/b/c?d=http://e/f");
  EXPECT_EQ(absolute.host(), "a.test:81");
  EXPECT_EQ(absolute.path(), "/b/c");
  EXPECT_EQ(absolute.query(), "d=http://e/f");
  EXPECT_EQ(absolute.origin_form(), "/b/c?d=http://e/f");
  EXPECT_EQ(head("http://a.test").path(), "/");
  EXPECT_EQ(head("http://a.test").origin_form(), "/");
  EXPECT_EQ(head("http://a.test?x").host(), "a.test");
  EXPECT_EQ(head("http://a.test?x").origin_form(), "/?x");
  for (const char* origin : {"/b?c", "/http://a.test/b", "/?http://a.test/", "*"}) {
    EXPECT_EQ(head(origin).host(), "other.test") << origin;
    EXPECT_EQ(head(origin).origin_form(), origin);
  }
}

TEST(Message, KnowsWhatATokenIs) {
  EXPECT_TRUE(is_token("X-Tea_1.!#$%&'*+^`|~"));
  for (const char* none : {"", "a b", "a:", "a\tb", "\"a\"", "a\x7f", "\xc3\xa9"})
    EXPECT_FALSE(is_token(none)) << none;
}

TEST(Message, ListsTokensWithoutCase) {
  Headers headers{{"Connection", "Keep-Alive, Upgrade"}};
  EXPECT_TRUE(headers.lists("connection", "upgrade"));
  EXPECT_FALSE(headers.lists("connection", "up"));
}

}  // namespace
