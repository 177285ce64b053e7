#include "fakeapi/cloud/cors.h"

#include "fakeapi/cloud/api_error.h"

namespace fakeapi::cloud {

http::Response preflight_response(const http::RequestHead& head) {
  http::Response response = no_content();
  response.headers.add("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS");
  // "*" does not cover Authorization: name what was asked for.
  std::string_view asked = head.headers.get("Access-Control-Request-Headers");
  response.headers.add("Access-Control-Allow-Headers", asked.empty() ? "*" : std::string(asked));
  response.headers.add("Access-Control-Max-Age", "7200");
  if (head.headers.has("Access-Control-Request-Private-Network")) {
    response.headers.add("Access-Control-Allow-Private-Network", "true");
  }
  return response;
}

void allow_any_origin(http::Headers& headers) {
  headers.add("Access-Control-Allow-Origin", "*");
  headers.add("Access-Control-Expose-Headers",
              "X-Next-Token, X-Total-Running, Retry-After, X-Sandlot-Contents");
}

}  // namespace fakeapi::cloud
