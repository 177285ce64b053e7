// The control API under /_sandlot/: what test harnesses ask of the emulator itself, next to the
// cloud's own API. Its own routes: livez, readyz, reset, state, clock. Knows no sandbox; asks a
// ControlPort.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/control/clock_body.h"
#include "emulator/control/route.h"
#include "fakeapi/http/connection.h"
#include "fakeapi/http/router.h"

namespace emulator::control {

struct StateReport {
  std::vector<std::pair<std::string, std::string>> sandboxes;  // id, "running" | "paused"
  // What the leak tests read; everything of this instance only.
  std::vector<std::pair<std::string, std::size_t>>
      counts;  // "netns", "links", "mounts", "cgroups", ...
};

class ControlPort {
 public:
  virtual ~ControlPort() = default;
  virtual bool ready() const = 0;
  // Kills every sandbox; what was removed, by kind.
  virtual base::Task<std::vector<std::pair<std::string, std::size_t>>> reset() = 0;
  virtual base::Task<StateReport> state() = 0;
  virtual ClockReport clock() const = 0;
  virtual base::Task<> change_clock(ClockChange change) = 0;
};

class ControlApi {
 public:
  // `hosts`: host names (without port) a request may address; anything else is refused (DNS
  // rebinding). `token`: opens the API to other machines, for requests with "Authorization: Bearer
  // <token>"; empty: this machine only.
  ControlApi(ControlPort& port, std::vector<std::string> hosts, std::string token);
  // Adds a route of another part ("/_sandlot/..."), behind the same checks. Before the first
  // request.
  void add_routes(std::vector<ControlRoute> routes);
  void add_route(std::string method, std::string_view path, fakeapi::http::RouteHandler handler);
  // One request, one response. Paths begin with "/_sandlot/".
  boost::asio::awaitable<void> handle(const fakeapi::http::RequestHead& head,
                                      fakeapi::http::ServerConnection& connection);

 private:
  boost::asio::awaitable<void> live(fakeapi::http::RoutedRequest request);
  boost::asio::awaitable<void> ready(fakeapi::http::RoutedRequest request);
  boost::asio::awaitable<void> reset(fakeapi::http::RoutedRequest request);
  boost::asio::awaitable<void> state(fakeapi::http::RoutedRequest request);
  boost::asio::awaitable<void> clock(fakeapi::http::RoutedRequest request);
  boost::asio::awaitable<void> change_clock(fakeapi::http::RoutedRequest request);
  // The reason to refuse, or "".
  std::string refusal(const fakeapi::http::RequestHead& head, bool is_local) const;

  ControlPort& port_;
  std::vector<std::string> hosts_;
  std::string token_;
  fakeapi::http::Router router_;
};

}  // namespace emulator::control
