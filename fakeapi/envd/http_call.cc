#include "fakeapi/envd/http_call.h"

#include "fakeapi/http/json_text.h"

namespace fakeapi::envd {

namespace asio = boost::asio;

namespace {

asio::awaitable<void> send(
    HttpCall& call, int status, std::string type, std::string body, bool no_store) {
  http::Response response;
  response.status = status;
  response.headers = call.common;
  if (!type.empty()) response.headers.set("Content-Type", std::move(type));
  if (no_store) response.headers.set("Cache-Control", "no-store");
  if (status >= 400 && !body.empty()) response.headers.set("X-Content-Type-Options", "nosniff");
  response.body = std::move(body);
  co_await call.connection.send(std::move(response));
}

}  // namespace

asio::awaitable<void> send_error(HttpCall& call, int status, std::string message) {
  std::string body = "{\"code\":" + std::to_string(status) + ",\"message\":";
  http::append_json_string(body, message);
  body.append("}\n");
  return send(call, status, "application/json; charset=utf-8", std::move(body), false);
}

asio::awaitable<void> send_text(HttpCall& call, int status, std::string text) {
  text.push_back('\n');
  return send(call, status, "text/plain; charset=utf-8", std::move(text), false);
}

asio::awaitable<void> send_json(HttpCall& call, std::string body, bool no_store) {
  return send(call, 200, "application/json", std::move(body), no_store);
}

asio::awaitable<void> send_empty(HttpCall& call, int status, bool no_store) {
  return send(call, status, "", "", no_store);
}

}  // namespace fakeapi::envd
