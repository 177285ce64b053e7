// The web servers of the fake internet, over memory.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "emulator/base/task_group.h"
#include "emulator/fakenet/host_file.h"
#include "emulator/fakenet/services.h"
#include "fakeapi/http/connection.h"
#include "tests/support/memory_stream.h"
#include "tests/support/run_task.h"

namespace emulator::fakenet {
namespace {

namespace asio = boost::asio;
namespace http = fakeapi::http;

constexpr std::string_view kHosts =
    R"({"hosts": [{"names": ["acme.test"], "addresses": ["192.0.2.1"],
  "routes": [{"method": "GET", "path": "/teapot", "status": 418, "headers": {"X-Tea": "green"}, "json": {"short": true}},
             {"path": "/typed", "headers": {"Content-Type": "text/x", "server": "own"}, "json": []},
             {"path": "/slow", "delayMs": 30}, {"path": "/broken", "reset": true},
             {"path": "/nothing", "status": 204, "body": ""}]}]})";

class WebServiceTest : public testing::Test {
 protected:
  WebServiceTest() {
    auto list = parse_hosts(kHosts);
    hosts_ = std::move(*Hosts::make(std::move(*list)));
  }

  static asio::awaitable<std::string> talk(http::ByteStream* stream, std::string request) {
    std::string text;
    auto sent = co_await stream->write_all(request, {});
    EXPECT_TRUE(sent);
    std::array<char, 65536> buffer{};
    for (;;) {
      auto count = co_await stream->read_some(buffer);
      if (!count) co_return text + "(reset)";
      if (*count == 0) co_return text;
      text.append(buffer.data(), *count);
    }
  }

  // What a client that sends `request` reads until the server hangs up.
  std::string exchange(const std::string& request) {
    auto [client, server] = tests::make_memory_streams(context_.get_executor());
    const Host& host = hosts_.all()[0];
    Place place{host, FarEnd{kTcp, {192, 0, 2, 1}, 80}, host.tcp.at(80)};
    base::TaskGroup tasks(context_.get_executor());
    tasks.spawn("server", serve_web(*server, place, canary_));
    std::string text = tests::run_task(context_, talk(client.get(), request));
    tests::run_task(context_, tasks.join());
    return text;
  }
  static std::string get(const std::string& path, const std::string& method = "GET") {
    return method + " " + path + " HTTP/1.1\r\nHost: acme.test\r\nConnection: close\r\n\r\n";
  }

  asio::io_context context_;
  Hosts hosts_;
  Canary canary_;
};

TEST_F(WebServiceTest, DescribesARequestThatNoRouteAnswers) {
  std::string answer = exchange(
      "PUT /x?y HTTP/1.1\r\nHost: acme.test\r\nContent-Length: 5\r\nConnection: "
      "close\r\n\r\nhello");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(
      answer.ends_with("\r\n\r\nserver-ip=192.0.2.1 port=80 scheme=http host=acme.test "
                       "method=PUT path=/x body-bytes=5\n"))
      << answer;
  ASSERT_EQ(canary_.events().size(), 1U);
  EXPECT_EQ(canary_.events()[0].text, "PUT http://acme.test/x?y");
}

TEST_F(WebServiceTest, AnswersByItsRoutes) {
  std::string answer = exchange(get("/teapot?with=milk"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 418 ")) << answer;
  EXPECT_NE(answer.find("X-Tea: green\r\n"), std::string::npos);
  EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n{\"short\":true}")) << answer;
  std::string head = exchange(get("/teapot", "HEAD"));
  EXPECT_TRUE(head.starts_with("HTTP/1.1 418 ") && head.ends_with("\r\n\r\n")) << head;
  EXPECT_TRUE(exchange(get("/nothing")).starts_with("HTTP/1.1 204 "));
}

TEST_F(WebServiceTest, ARoutesOwnHeadersTakeThePlaceOfOurs) {
  std::string answer = exchange(get("/typed"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n[]")) << answer;
  EXPECT_NE(answer.find("Content-Type: text/x\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("application/json"), std::string::npos) << answer;
  EXPECT_NE(answer.find("server: own\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("Server: "), std::string::npos) << answer;
}

// RFC 9112 3.2.2: as a client sends it to a proxy.
TEST_F(WebServiceTest, UnderstandsATargetInAbsoluteForm) {
  EXPECT_TRUE(exchange(get("http://acme.test/teapot?with=milk")).starts_with("HTTP/1.1 418 "));
  EXPECT_EQ(canary_.events().back().text, "GET http://acme.test/teapot?with=milk");
  std::string answer = exchange(get("http://acme.test/x?y"));
  EXPECT_TRUE(answer.ends_with("host=acme.test method=GET path=/x body-bytes=0\n")) << answer;
  answer = exchange(get("http://acme.test"));
  EXPECT_TRUE(answer.ends_with("host=acme.test method=GET path=/ body-bytes=0\n")) << answer;
  EXPECT_EQ(canary_.events().back().text, "GET http://acme.test/");
  EXPECT_NE(exchange(get("http://acme.test/headers")).find("\"Host\""), std::string::npos);
  EXPECT_TRUE(exchange(get("http://acme.test/bytes/3")).ends_with("\r\n\r\nxxx"));
}

TEST_F(WebServiceTest, DelaysAndResetsWhenTold) {
  auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(exchange(get("/slow")).starts_with("HTTP/1.1 200 "));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
  EXPECT_EQ(exchange(get("/broken")), "(reset)");
}

TEST_F(WebServiceTest, KeepsTheConnectionForTheNextRequest) {
  std::string two = "GET /a HTTP/1.1\r\nHost: acme.test\r\n\r\n" + get("/b");
  std::string answer = exchange(two);
  EXPECT_NE(answer.find("path=/a "), std::string::npos);
  EXPECT_NE(answer.find("path=/b "), std::string::npos);
}

TEST_F(WebServiceTest, SendsAsManyBytesAsAskedFor) {
  std::string answer = exchange(get("/bytes/200000"));
  std::size_t body = answer.find("\r\n\r\n") + 4;
  EXPECT_EQ(answer.size() - body, 200000U);
  EXPECT_NE(exchange(get("/bytes/-1")).find("path=/bytes/-1"), std::string::npos);
}

TEST_F(WebServiceTest, SaysBackTheHeadersOfARequest) {
  std::string answer =
      exchange("GET /headers HTTP/1.1\r\nHost: acme.test\r\nx-a: b\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Type: application/json; charset=utf-8\r\n"), std::string::npos);
  EXPECT_NE(answer.find("\"X-A\": [\n      \"b\"\n    ]"), std::string::npos) << answer;
}

TEST_F(WebServiceTest, RefusesWhatIsNoRequest) {
  EXPECT_TRUE(exchange("\x16\x03\x01 nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

}  // namespace
}  // namespace emulator::fakenet
