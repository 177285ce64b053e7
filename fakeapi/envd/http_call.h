// One REST request of the daemon, as its handlers see it, and the two kinds of error answers
// (contract-envd 1.1).
#pragma once

#include <string>

#include "fakeapi/http/connection.h"

namespace fakeapi::envd {

struct HttpCall {
  const http::RequestHead& head;
  http::ServerConnection& connection;
  http::Headers common;  // CORS headers, for every response
};

// An error on its way to becoming a response.
struct HttpError {
  int status = 500;
  std::string message;
};

// {"code":<status>,"message":"..."}
boost::asio::awaitable<void> send_error(HttpCall& call, int status, std::string message);
boost::asio::awaitable<void> send_text(HttpCall& call, int status, std::string text);
boost::asio::awaitable<void> send_json(HttpCall& call, std::string body, bool no_store);
// A status without a body.
boost::asio::awaitable<void> send_empty(HttpCall& call, int status, bool no_store = false);

}  // namespace fakeapi::envd
