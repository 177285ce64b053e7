#include "emulator/control/route.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
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

boost::asio::awaitable<void> stream_lines(http::ServerConnection& connection,
                                          boost::asio::awaitable<void> lines) {
  http::ResponseHead head;
  head.status = 200;
  head.headers.add("Content-Type", "application/x-ndjson");
  head.headers.add("Cache-Control", "no-store");
  auto begun = co_await connection.begin(std::move(head));
  if (begun) begun = co_await connection.write("");
  if (!begun) co_return;
  using boost::asio::experimental::awaitable_operators::operator||;
  co_await (std::move(lines) || connection.wait_for_disconnect());
  connection.close_after_response();
}

}  // namespace emulator::control
