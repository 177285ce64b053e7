// The answers of the template httpbin, over memory.
#include "fakeapi/httpbin/httpbin.h"

#include <array>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "emulator/base/task_group.h"
#include "fakeapi/httpbin/description.h"
#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace tests {
namespace {

namespace asio = boost::asio;
namespace http = fakeapi::http;
namespace httpbin = fakeapi::httpbin;
using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class Httpbin : public testing::Test {
 protected:
  static asio::awaitable<std::string> talk(http::ByteStream* stream, std::string request) {
    std::string text;
    auto sent = co_await stream->write_all(request, {});
    EXPECT_TRUE(sent);
    std::array<char, 65536> buffer{};
    for (;;) {
      auto count = co_await stream->read_some(buffer);
      if (!count || *count == 0) co_return text;
      text.append(buffer.data(), *count);
    }
  }

  std::string exchange(const std::string& request) {
    auto [client, server] = make_memory_streams(context_.get_executor());
    base::TaskGroup tasks(context_.get_executor());
    const http::Handler handler = httpbin::answer;
    tasks.spawn("server", http::serve_connection(*server, handler));
    std::string text = run_task(context_, talk(client.get(), request));
    run_task(context_, tasks.join());
    return text;
  }
  std::string ask(const std::string& path,
                  const std::string& headers = "",
                  const std::string& method = "GET",
                  const std::string& body = "") {
    return exchange(method + " " + path + " HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n" +
                    headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  json parsed(const std::string& answer) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
  }

  asio::io_context context_;
};

TEST_F(Httpbin, HeadersAreListsUnderTheirCanonicalNames) {
  json said = parsed(ask("/headers", "x-test-TOKEN: one\r\nX-Test-Token: two\r\n"));
  EXPECT_EQ(said["headers"]["X-Test-Token"], json::array({"one", "two"}));
  EXPECT_EQ(said["headers"]["Host"], json::array({"h.test"}));
  EXPECT_EQ(httpbin::canonical_name("wWW-authenticate"), "Www-Authenticate");
}

TEST_F(Httpbin, ARequestIsSaidBack) {
  json got = parsed(ask("/get?a=1&a=2&b=%20x"));
  EXPECT_EQ(got["args"], json::parse(R"({"a":["1","2"],"b":[" x"]})"));
  EXPECT_EQ(got["url"], "http://h.test/get?a=1&a=2&b=%20x");
  EXPECT_FALSE(got.contains("data"));
  json posted = parsed(ask("/post", "Content-Type: application/json\r\n", "POST", R"({"a":[1]})"));
  EXPECT_EQ(posted["json"], json::parse(R"({"a":[1]})"));
  EXPECT_EQ(posted["data"], R"({"a":[1]})");
  json form = parsed(
      ask("/put", "Content-Type: application/x-www-form-urlencoded\r\n", "PUT", "a=1+2&b=x"));
  EXPECT_EQ(form["form"], json::parse(R"({"a":["1 2"],"b":["x"]})"));
  json broken =
      parsed(ask("/anything/at/all", "Content-Type: application/json\r\n", "DELETE", "{"));
  EXPECT_TRUE(broken["json"].is_null());
  EXPECT_EQ(broken["method"], "DELETE");
  EXPECT_EQ(parsed(ask("/post", "", "POST", "\xff\xfe"))["data"], "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_F(Httpbin, StatusesRedirectsAndAuthentication) {
  EXPECT_THAT(ask("/status/418"), StartsWith("HTTP/1.1 418 "));
  EXPECT_THAT(ask("/status/503", "", "POST", "x"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(ask("/status/99"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/redirect/2"), HasSubstr("Location: /redirect/1\r\n"));
  EXPECT_THAT(ask("/redirect/1"), HasSubstr("Location: /get\r\n"));
  EXPECT_THAT(ask("/redirect-to?url=https%3A%2F%2Fa.com&status_code=307"),
              HasSubstr("Location: https://a.com\r\n"));
  EXPECT_THAT(ask("/redirect-to?url=a%0d%0aX:%20y"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/basic-auth/u/p"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask("/basic-auth/u/p", "Authorization: Basic dTpw\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("/bearer"), HasSubstr("WWW-Authenticate: Bearer\r\n"));
  EXPECT_EQ(parsed(ask("/bearer", "Authorization: Bearer t\r\n"))["token"], "t");
  EXPECT_THAT(ask("/response-headers?X-A=b&Content-Length=9"), HasSubstr("X-A: b\r\n"));
}

TEST_F(Httpbin, BytesStreamsAndTexts) {
  EXPECT_THAT(ask("/bytes/30"), EndsWith("\r\n\r\nabcdefghijklmnopqrstuvwxyzabcd"));
  EXPECT_THAT(ask("/bytes/99999999999"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/stream/2"), HasSubstr("{\"id\":1}\n"));
  EXPECT_THAT(ask("/sse?count=1"), HasSubstr("event: ping\ndata: {\"id\":0}\n\n"));
  EXPECT_THAT(ask("/delay/0"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("/delay/11"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/delay/nan"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/base64/aGVsbG8="), EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(httpbin::decode_base64("!"), "");
  EXPECT_EQ(parsed(ask("/cookies", "Cookie: a=b; c=d\r\n"))["cookies"],
            json::parse(R"({"a":"b","c":"d"})"));
  EXPECT_EQ(parsed(ask("/user-agent", "User-Agent: me\r\n"))["user-agent"], "me");
  EXPECT_THAT(ask("/"), HasSubstr("httpbin of Sandlot"));
}

TEST_F(Httpbin, WhatItDoesNotServe) {
  EXPECT_THAT(ask("/nothing"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("/post"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(exchange("HEAD /get HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              EndsWith("\r\n\r\n"));
  EXPECT_THAT(ask("/post", "", "POST", std::string((10U << 20U) + 1, 'x')),
              StartsWith("HTTP/1.1 413 "));
}

}  // namespace
}  // namespace tests
