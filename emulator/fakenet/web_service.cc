// serve_web of services.h.
#include <charconv>

#include "emulator/base/async.h"
#include "emulator/fakenet/services.h"
#include "fakeapi/http/connection.h"
#include "fakeapi/httpbin/description.h"

namespace emulator::fakenet {

namespace asio = boost::asio;
namespace http = fakeapi::http;

namespace {

constexpr std::uint64_t kMostBytes = 1ULL << 40U;  // of /bytes/N

http::ResponseHead head_of(int status, std::string_view type) {
  http::ResponseHead head;
  head.status = status;
  head.headers.add("Server", "sandlot-fake-internet");
  if (!type.empty()) head.headers.add("Content-Type", std::string(type));
  return head;
}

std::string scheme_of(const Place& place) {
  return place.service.kind == ServiceKind::kHttps ? "https" : "http";
}

// Which address was dialled, and what arrived there: one line, so that a test needs one look.
std::string describe(const Place& place, const http::RequestHead& head, std::uint64_t body_bytes) {
  return "server-ip=" + netfilter::to_string(place.here.address) +
         " port=" + std::to_string(place.here.port) + " scheme=" + scheme_of(place) +
         " host=" + std::string(head.host()) + " method=" + head.method +
         " path=" + std::string(head.path()) + " body-bytes=" + std::to_string(body_bytes) + "\n";
}

std::optional<std::uint64_t> wanted_bytes(std::string_view path) {
  constexpr std::string_view kPrefix = "/bytes/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  std::uint64_t count = 0;
  auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), count);
  bool good = error == std::errc() && end == path.data() + path.size() && count <= kMostBytes;
  return good ? std::optional(count) : std::nullopt;
}

asio::awaitable<void> send_bytes(http::ServerConnection& connection, std::uint64_t count) {
  auto head = head_of(200, "application/octet-stream");
  head.headers.add("Content-Length", std::to_string(count));
  auto begun = co_await connection.begin(std::move(head));
  if (!begun) co_return;
  std::string block(static_cast<std::size_t>(std::min<std::uint64_t>(count, 64U << 10U)), 'x');
  while (count > 0) {
    std::string_view part = block;
    part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(count, part.size())));
    auto sent = co_await connection.write(part);
    if (!sent) co_return;
    count -= part.size();
  }
  co_await connection.end();
}

http::Response response_of(const Route& route, std::string line) {
  http::Response response;
  response.status = route.status;
  for (const auto& [name, value] : route.headers) response.headers.add(name, value);
  if (!response.headers.has("Server")) response.headers.add("Server", "sandlot-fake-internet");
  if (!response.headers.has("Content-Type"))
    response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = route.body ? *route.body : std::move(line);
  return response;
}

asio::awaitable<std::uint64_t> read_all(http::ServerConnection& connection) {
  std::vector<char> buffer(16U << 10U);
  std::uint64_t total = 0;
  for (;;) {
    auto count = co_await connection.read_body(buffer);
    if (!count || *count == 0) co_return total;
    total += *count;
  }
}

asio::awaitable<void> answer(const http::RequestHead& head,
                             http::ServerConnection& connection,
                             Place place,
                             Canary& canary) {
  canary.understood(
      "request", place.here,
      head.method + " " + scheme_of(place) + "://" + std::string(head.host()) + head.origin_form());
  std::uint64_t body_bytes = co_await read_all(connection);
  const Route* route = place.host.route(head.method, head.path());
  std::string line = describe(place, head, body_bytes);
  if (route == nullptr) {
    if (head.path() == "/headers") {
      Route plain;
      plain.headers = {{"Content-Type", "application/json; charset=utf-8"}};
      auto response = response_of(plain, fakeapi::httpbin::headers_json(head));
      co_await connection.send(std::move(response));
      co_return;
    }
    if (auto count = wanted_bytes(head.path())) {
      co_await send_bytes(connection, *count);
      co_return;
    }
    Route plain;
    auto response = response_of(plain, std::move(line));
    co_await connection.send(std::move(response));
    co_return;
  }
  if (route->delay.count() > 0) co_await base::sleep_for(route->delay);
  if (route->reset) {
    connection.close_after_response();
    connection.stream().close(true);
    co_return;
  }
  auto response = response_of(*route, std::move(line));
  co_await connection.send(std::move(response));
}

}  // namespace

asio::awaitable<void> serve_web(http::ByteStream& stream, Place place, Canary& canary) {
  http::Handler handler = [&place, &canary](const http::RequestHead& head,
                                            http::ServerConnection& connection) {
    return answer(head, connection, place, canary);
  };
  co_await http::serve_connection(stream, handler);
}

}  // namespace emulator::fakenet
