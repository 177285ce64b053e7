// The answers that the front door gives itself: status, content type and body, as the cloud's proxy
// words them. Pure. JSON unless the asker is a person with a browser.
//   source  contract-network 3.5 (key order included), 3.2 point 6
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace emulator::proxy {

// What content negotiation looks at; "" = the header is absent.
struct Asker {
  std::string_view accept;
  std::string_view user_agent;
  std::string_view sec_fetch_mode;
  std::string_view requested_with;  // X-Requested-With
};
bool wants_html(const Asker& asker);

struct ErrorPage {
  int status = 502;
  std::string_view content_type;
  bool nosniff =
      false;  // plain text answers carry X-Content-Type-Options: nosniff (Go's http.Error)
  std::string body;
};

ErrorPage sandbox_not_found(std::string_view id, bool html);
ErrorPage port_closed(std::string_view id, std::uint64_t port, bool html);
// 501: the service of this port is part of the cloud, but not built yet here.
ErrorPage port_not_built(std::string_view id, std::uint64_t port, bool html);
ErrorPage token_missing(std::string_view id, bool html);
ErrorPage token_invalid(std::string_view id, bool html);
// `path` cleaned: "/init".
ErrorPage reserved_route(std::string_view path, bool html);
ErrorPage resume_denied(std::string_view id, bool html);
ErrorPage still_transitioning(std::string_view id, bool html);
ErrorPage too_many_connections(std::string_view id, std::size_t limit, bool html);
ErrorPage sandbox_limit_reached(std::string_view id, std::string_view message, bool html);
// The answer of an injected fault. An empty body becomes {"code": <status>, "message": "..."}.
ErrorPage injected(int status, std::string body);
// "Invalid host" and its like; "Failed to route request to sandbox". A newline is added.
ErrorPage plain_text(int status, std::string_view sentence);

// The path of a daemon route that belongs to the control plane ("/init", "/freeze", ...), cleaned
// as Go's path.Clean does after percent-decoding; "" when `path` is none of them.
std::string reserved_daemon_route(std::string_view path);

}  // namespace emulator::proxy
