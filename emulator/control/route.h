// A route that another part gives to the control API, and the answers that all of its routes make.
// Used by the control API, the fake internet and the decision log.
#pragma once

#include <string>
#include <string_view>

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

}  // namespace emulator::control
