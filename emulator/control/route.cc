#include "emulator/control/route.h"

#include <nlohmann/json.hpp>

namespace emulator::control {

namespace http = fakeapi::http;
using Json = nlohmann::ordered_json;

http::Response json_response(int status, std::string json) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  response.body = std::move(json);
  return response;
}

http::Response error_response(int status, std::string_view message) {
  Json body;
  body["code"] = status;
  body["message"] = message;
  return json_response(status, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace emulator::control
