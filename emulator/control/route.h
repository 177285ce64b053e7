// A route that another part gives to the control API, and the answers that all of its routes make.
// Used by the control API, the fake internet and the decision log.
#pragma once

#include <string>
#include <string_view>

#include "fakeapi/http/connection.h"
#include "fakeapi/http/message.h"
#include "fakeapi/http/router.h"

namespace emulator::control {

struct ControlRoute {
  std::string method;
  std::string path;  // "/_sandlot/..."
  fakeapi::http::RouteHandler handler;
};

// `json` is the body's text. Never stored by whoever gets it.
fakeapi::http::Response json_response(int status, std::string json);
// {"code": <status>, "message": "..."}
fakeapi::http::Response error_response(int status, std::string_view message);

// Answers with lines of JSON, as `lines` writes them to the connection, until it ends or the client
// leaves. The connection is closed then.
boost::asio::awaitable<void> stream_lines(fakeapi::http::ServerConnection& connection,
                                          boost::asio::awaitable<void> lines);

}  // namespace emulator::control
