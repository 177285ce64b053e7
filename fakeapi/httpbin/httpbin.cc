#include "fakeapi/httpbin/httpbin.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>

#include "emulator/base/async.h"
#include "emulator/base/ids.h"
#include "fakeapi/http/router.h"
#include "fakeapi/httpbin/description.h"

namespace fakeapi::httpbin {

namespace asio = boost::asio;
using http::RoutedRequest;

namespace {

constexpr std::size_t kLongestBody = 10U << 20U;
constexpr std::size_t kMostBytes = 10U << 20U;
constexpr int kMostLines = 100;
constexpr double kLongestDelay = 10;

constexpr std::string_view kIndex =
    "httpbin of Sandlot\n\n"
    "/headers /ip /user-agent /cookies\n"
    "/get /post /put /patch /delete /anything\n"
    "/status/{code} /delay/{seconds} /bytes/{count} /stream/{lines} /sse?count=\n"
    "/redirect/{times} /redirect-to?url= /response-headers?name=value\n"
    "/basic-auth/{user}/{password} /bearer /base64/{text} /uuid /json /html /robots.txt\n";

http::Response reply(int status, std::string_view type, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", std::string(type));
  // Pages in browsers may ask, too.
  response.headers.add("Access-Control-Allow-Origin", "*");
  response.headers.add("Access-Control-Allow-Credentials", "true");
  response.body = std::move(body);
  return response;
}
http::Response json_reply(std::string body, int status = 200) {
  return reply(status, "application/json; charset=utf-8", std::move(body));
}
http::Response refusal(int status, std::string_view reason) {
  return json_reply(pair_json("error", reason), status);
}

asio::awaitable<void> send(http::ServerConnection& connection, http::Response response) {
  (void)co_await connection.send(std::move(response));
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The whole request, said back.
asio::awaitable<void> describe(RoutedRequest request) {
  auto body = co_await request.connection.read_full_body(kLongestBody);
  if (!body) {
    request.connection.close_after_response();
    co_return co_await send(request.connection, refusal(413, "body too large, or incomplete"));
  }
  co_await send(request.connection, json_reply(request_json(request.head, *body)));
}

asio::awaitable<void> status(RoutedRequest request) {
  auto code = number<int>(request.path["code"]);
  if (!code || *code < 200 || *code > 599) {
    co_return co_await send(request.connection, refusal(400, "invalid status code"));
  }
  http::Response response = reply(*code, "text/plain; charset=utf-8", "");
  if (*code == 401) response.headers.add("WWW-Authenticate", "Basic realm=\"Fake Realm\"");
  if (*code > 300 && *code < 400 && *code != 304) response.headers.add("Location", "/redirect/1");
  co_await send(request.connection, std::move(response));
}

asio::awaitable<void> delay(RoutedRequest request) {
  auto seconds = number<double>(request.path["seconds"]);
  if (!seconds || !(*seconds >= 0) || *seconds > kLongestDelay) {
    co_return co_await send(request.connection, refusal(400, "invalid duration"));
  }
  co_await base::sleep_for(std::chrono::milliseconds(static_cast<int>(*seconds * 1000)));
  co_await describe(std::move(request));
}

asio::awaitable<void> bytes(RoutedRequest request) {
  auto count = number<std::size_t>(request.path["count"]);
  if (!count || *count > kMostBytes) {
    co_return co_await send(request.connection, refusal(400, "invalid byte count"));
  }
  std::string body(*count, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 26);
  co_await send(request.connection, reply(200, "application/octet-stream", std::move(body)));
}

constexpr const char* kEndOfLine = "}\n";
constexpr const char* kEndOfEvent = "}\n\n";

// `count` pieces of a chunked response.
asio::awaitable<void> pieces(http::ServerConnection& connection,
                             std::string type,
                             int count,
                             std::string before,
                             std::string after) {
  http::ResponseHead head;
  head.headers.add("Content-Type", type);
  if (!co_await connection.begin(std::move(head))) co_return;
  for (int i = 0; i < count; ++i) {
    std::string piece = before + std::to_string(i) + after;
    if (!co_await connection.write(piece)) co_return;
  }
  (void)co_await connection.end();
}

asio::awaitable<void> stream(RoutedRequest request) {
  const std::string before = "{\"id\":";
  int count = std::clamp(number<int>(request.path["lines"]).value_or(1), 0, kMostLines);
  co_await pieces(request.connection, "application/json", count, before, kEndOfLine);
}

asio::awaitable<void> events(RoutedRequest request) {
  const std::string before = "event: ping\ndata: {\"id\":";
  auto wanted = http::query_value(request.head.query(), "count");
  int count = std::clamp(number<int>(wanted.value_or("10")).value_or(10), 0, kMostLines);
  co_await pieces(request.connection, "text/event-stream", count, before, kEndOfEvent);
}

asio::awaitable<void> redirect(RoutedRequest request) {
  int times = number<int>(request.path["times"]).value_or(0);
  if (times < 1 || times > kMostLines) {
    co_return co_await send(request.connection, refusal(400, "invalid redirect count"));
  }
  http::Response response = reply(302, "text/plain; charset=utf-8", "");
  response.headers.add("Location", times == 1 ? "/get" : "/redirect/" + std::to_string(times - 1));
  co_await send(request.connection, std::move(response));
}

bool fits_a_header(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

asio::awaitable<void> redirect_to(RoutedRequest request) {
  std::string url = http::query_value(request.head.query(), "url").value_or("");
  auto wanted = http::query_value(request.head.query(), "status_code");
  int code = number<int>(wanted.value_or("302")).value_or(0);
  if (url.empty() || !fits_a_header(url) || code < 300 || code > 399) {
    co_return co_await send(request.connection, refusal(400, "invalid url or status_code"));
  }
  http::Response response = reply(code, "text/plain; charset=utf-8", "");
  response.headers.add("Location", url);
  co_await send(request.connection, std::move(response));
}

asio::awaitable<void> response_headers(RoutedRequest request) {
  http::Response response = json_reply(arguments_json(request.head));
  for (auto& [name, value] : http::parse_query(request.head.query())) {
    bool framing = http::iequals(name, "Content-Length") ||
                   http::iequals(name, "Transfer-Encoding") || http::iequals(name, "Connection");
    bool plain = !name.empty() && fits_a_header(name) && fits_a_header(value) &&
                 name.find_first_of(" :") == std::string::npos;
    if (plain && !framing) response.headers.set(name, value);
  }
  co_await send(request.connection, std::move(response));
}

asio::awaitable<void> basic_auth(RoutedRequest request) {
  constexpr std::string_view kScheme = "Basic ";
  std::string_view given = request.head.headers.get("Authorization");
  std::string wanted = request.path["user"] + ":" + request.path["password"];
  bool right = given.starts_with(kScheme) && decode_base64(given.substr(kScheme.size())) == wanted;
  if (right) {
    co_return co_await send(request.connection,
                            json_reply(pair_json("user", request.path["user"])));
  }
  http::Response response = refusal(401, "unauthorized");
  response.headers.add("WWW-Authenticate", "Basic realm=\"Fake Realm\"");
  co_await send(request.connection, std::move(response));
}

asio::awaitable<void> bearer(RoutedRequest request) {
  constexpr std::string_view kScheme = "Bearer ";
  std::string_view given = request.head.headers.get("Authorization");
  if (given.starts_with(kScheme)) {
    std::string token(given.substr(kScheme.size()));
    co_return co_await send(request.connection, json_reply(pair_json("token", token)));
  }
  http::Response response = refusal(401, "unauthorized");
  response.headers.add("WWW-Authenticate", "Bearer");
  co_await send(request.connection, std::move(response));
}

// Answers that depend on the head alone.
using Say = http::Response (*)(RoutedRequest& request);
http::RouteHandler saying(Say say) {
  return [say](RoutedRequest request) { return send(request.connection, say(request)); };
}

void add_descriptions(http::Router& router) {
  router.add("GET", "/get", describe);
  router.add("POST", "/post", describe);
  router.add("PUT", "/put", describe);
  router.add("PATCH", "/patch", describe);
  router.add("DELETE", "/delete", describe);
  router.add("GET", "/headers",
             saying([](RoutedRequest& request) { return json_reply(headers_json(request.head)); }));
  router.add("GET", "/ip",
             saying([](RoutedRequest&) { return json_reply(pair_json("origin", "127.0.0.1")); }));
  router.add("GET", "/user-agent", saying([](RoutedRequest& request) {
               return json_reply(pair_json("user-agent", request.head.headers.get("User-Agent")));
             }));
  router.add("GET", "/cookies",
             saying([](RoutedRequest& request) { return json_reply(cookies_json(request.head)); }));
}

void add_texts(http::Router& router) {
  router.add("GET", "/", saying([](RoutedRequest&) {
               return reply(200, "text/plain; charset=utf-8", std::string(kIndex));
             }));
  router.add("GET", "/uuid", saying([](RoutedRequest&) {
               return json_reply(pair_json("uuid", base::make_uuid()));
             }));
  router.add("GET", "/base64/{text}", saying([](RoutedRequest& request) {
               return reply(200, "text/plain; charset=utf-8", decode_base64(request.path["text"]));
             }));
  router.add("GET", "/json", saying([](RoutedRequest&) {
               return json_reply("{\"slideshow\": {\"title\": \"Sample\", \"slides\": []}}\n");
             }));
  router.add("GET", "/html", saying([](RoutedRequest&) {
               return reply(200, "text/html; charset=utf-8",
                            "<!DOCTYPE html><html><body><h1>httpbin</h1></body></html>\n");
             }));
  router.add("GET", "/robots.txt", saying([](RoutedRequest&) {
               return reply(200, "text/plain", "User-agent: *\nDisallow: /deny\n");
             }));
}

http::Router make_router() {
  http::Router router;
  add_descriptions(router);
  add_texts(router);
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    router.add(method, "/status/{code}", status);
    router.add(method, "/delay/{seconds}", delay);
    router.add(method, "/redirect-to", redirect_to);
  }
  router.add("GET", "/bytes/{count}", bytes);
  router.add("GET", "/stream/{lines}", stream);
  router.add("GET", "/sse", events);
  router.add("GET", "/redirect/{times}", redirect);
  router.add("GET", "/response-headers", response_headers);
  router.add("GET", "/basic-auth/{user}/{password}", basic_auth);
  router.add("GET", "/bearer", bearer);
  return router;
}

}  // namespace

asio::awaitable<void> answer(const http::RequestHead& head, http::ServerConnection& connection) {
  static const http::Router kRouter = make_router();
  std::string path(head.path());
  if (path == "/anything" || path.starts_with("/anything/")) {
    RoutedRequest request{head, {}, connection};
    co_return co_await describe(std::move(request));
  }
  auto match = kRouter.find(head.method == "HEAD" ? "GET" : head.method, path);
  if (match.handler != nullptr) {
    RoutedRequest request{head, std::move(match.path), connection};
    co_return co_await (*match.handler)(std::move(request));
  }
  auto refused =
      match.allowed.empty() ? refusal(404, "not found") : refusal(405, "method not allowed");
  co_await send(connection, std::move(refused));
}

}  // namespace fakeapi::httpbin
