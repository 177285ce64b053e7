#include "emulator/proxy/error_pages.h"

#include <algorithm>
#include <array>
#include <vector>

#include "fakeapi/http/message.h"

namespace emulator::proxy {

using fakeapi::http::iequals;

namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";

bool contains_nocase(std::string_view text, std::string_view word) {
  auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

// Ids are [a-z0-9]+, but the path of a reserved route is the client's.
std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out.append("\\u00").append(1, kHex[static_cast<unsigned char>(c) >> 4U]);
      out.append(1, kHex[static_cast<unsigned char>(c) & 15U]);
    } else {
      out.push_back(c);
    }
  }
  return out.append("\"");
}

std::string html_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '&':
        out.append("&amp;");
        break;
      case '"':
        out.append("&quot;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string page(std::string_view title, std::string_view text) {
  std::string out = "<html><head><meta charset=\"utf-8\"><title>";
  out.append(title).append(
      "</title><style>body{font:16px/1.5 "
      "system-ui,sans-serif;color:#222;background:#fafafa;margin:0}"
      "main{max-width:36em;margin:18vh auto;padding:0 1.5em}h1{font-size:1.4em}"
      "code{background:#eee;padding:.1em .3em;border-radius:3px}</style></head><body><main><h1>");
  out.append(title).append("</h1><p>").append(text).append("</p></main></body></html>");
  return out;
}

std::string code_html(std::string_view text) {
  return "<code>" + html_text(text) + "</code>";
}

ErrorPage json(int status, std::string body) {
  return {status, kJson, false, std::move(body)};
}
ErrorPage html(int status, std::string_view title, std::string_view text) {
  return {status, kHtml, false, page(title, text)};
}

std::string sandbox_json(std::string_view id, std::string_view message, int code) {
  return "{\"sandboxId\":" + json_string(id) + ",\"message\":" + json_string(message) +
         ",\"code\":" + std::to_string(code) + "}";
}

}  // namespace

bool wants_html(const Asker& asker) {
  if (contains_nocase(asker.accept, "application/json") &&
      !contains_nocase(asker.accept, "text/html"))
    return false;
  if (!iequals(asker.sec_fetch_mode, "navigate")) {
    constexpr std::array<std::string_view, 4> kScripted = {"cors", "no-cors", "same-origin",
                                                           "websocket"};
    for (std::string_view mode : kScripted) {
      if (iequals(asker.sec_fetch_mode, mode)) return false;
    }
    if (!asker.requested_with.empty()) return false;
  }
  constexpr std::array<std::string_view, 7> kBrowsers = {"mozilla", "chrome", "safari", "firefox",
                                                         "edge",    "opera",  "msie"};
  return std::any_of(kBrowsers.begin(), kBrowsers.end(), [&asker](std::string_view name) {
    return contains_nocase(asker.user_agent, name);
  });
}

ErrorPage sandbox_not_found(std::string_view id, bool as_html) {
  if (!as_html) return json(502, sandbox_json(id, "The sandbox was not found", 502));
  return html(
      502, "Sandbox Not Found",
      "The sandbox " + code_html(id) + " wasn't found: it has ended, is paused, or never existed.");
}

ErrorPage port_closed(std::string_view id, std::uint64_t port, bool as_html) {
  std::string number = std::to_string(port);
  if (!as_html) {
    return json(502, "{\"sandboxId\":" + json_string(id) +
                         ",\"message\":\"The sandbox is running but port is not open\",\"port\":" +
                         number + ",\"code\":502}");
  }
  return html(502, "Closed Port Error",
              "The sandbox " + code_html(id) +
                  " is running, but there's no service running on port " + code_html(number) + ".");
}

ErrorPage port_not_built(std::string_view id, std::uint64_t port, bool as_html) {
  std::string number = std::to_string(port);
  if (!as_html) {
    return json(501,
                "{\"sandboxId\":" + json_string(id) +
                    ",\"message\":\"The code interpreter is not built yet in Sandlot\",\"port\":" +
                    number + ",\"code\":501}");
  }
  return html(501, "Not Built Yet",
              "The service on port " + code_html(number) + " of sandbox " + code_html(id) +
                  " is not built yet in Sandlot.");
}

ErrorPage token_missing(std::string_view id, bool as_html) {
  if (!as_html) {
    return json(403, sandbox_json(id,
                                  "Sandbox is secured with traffic access token. Token header "
                                  "'e2b-traffic-access-token' is missing",
                                  403));
  }
  return html(403, "Missing Traffic Access Token",
              "The sandbox " + code_html(id) + " is secured: send the header " +
                  code_html("e2b-traffic-access-token") + ".");
}

ErrorPage token_invalid(std::string_view id, bool as_html) {
  if (!as_html) {
    return json(
        403, sandbox_json(id,
                          "Sandbox is secured with traffic access token. Provided token in header "
                          "'e2b-traffic-access-token' is invalid",
                          403));
  }
  return html(403, "Invalid Traffic Access Token",
              "The sandbox " + code_html(id) + " is secured, and the token in the header " +
                  code_html("e2b-traffic-access-token") + " is not its token.");
}

ErrorPage reserved_route(std::string_view path, bool as_html) {
  constexpr std::string_view kText =
      "This endpoint is reserved for the E2B control plane and is not reachable through the "
      "sandbox URL";
  if (!as_html) {
    return json(404, "{\"message\":" + json_string(kText) + ",\"path\":" + json_string(path) +
                         ",\"code\":404}");
  }
  return html(404, "Reserved Endpoint", std::string(kText).append(": ").append(code_html(path)));
}

ErrorPage resume_denied(std::string_view id, bool as_html) {
  constexpr std::string_view kText =
      "This sandbox can't be resumed with the credentials provided. Check your access token and "
      "try again.";
  if (!as_html) return json(403, sandbox_json(id, kText, 403));
  return html(403, "Resume Denied", code_html(id).append(": ").append(kText));
}

ErrorPage still_transitioning(std::string_view id, bool as_html) {
  constexpr std::string_view kText = "The sandbox is still transitioning. Try again in a moment.";
  if (!as_html) return json(409, sandbox_json(id, kText, 409));
  return html(409, "Sandbox Transitioning", code_html(id).append(": ").append(kText));
}

ErrorPage too_many_connections(std::string_view id, std::size_t limit, bool as_html) {
  std::string number = std::to_string(limit);
  std::string text =
      "The sandbox has too many concurrent incoming connections (limit: " + number + ")";
  if (!as_html) {
    return json(429, "{\"sandboxId\":" + json_string(id) + ",\"message\":" + json_string(text) +
                         ",\"code\":429,\"connectionLimit\":" + number + "}");
  }
  return html(429, "Too Many Connections", code_html(id) + ": " + text);
}

ErrorPage sandbox_limit_reached(std::string_view id, std::string_view message, bool as_html) {
  if (message.empty()) message = "Sandbox limit reached";
  if (!as_html) return json(429, sandbox_json(id, message, 429));
  return html(429, "Sandbox Limit Reached", code_html(id) + ": " + html_text(message));
}

ErrorPage injected(int status, std::string body) {
  if (body.empty()) {
    body = "{\"code\":" + std::to_string(status) + R"(,"message":"an injected fault"})";
  }
  bool json = body.front() == '{' || body.front() == '[';
  std::string_view type = json ? "application/json" : "text/plain; charset=utf-8";
  return {status, type, false, std::move(body)};
}

ErrorPage plain_text(int status, std::string_view sentence) {
  return {status, "text/plain; charset=utf-8", true, std::string(sentence) + "\n"};
}

namespace {

constexpr std::array<std::string_view, 7> kReserved = {"init",     "freeze", "unfreeze", "collapse",
                                                       "fsfreeze", "fsthaw", "upgrade"};

bool is_reserved(std::string_view name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

}  // namespace

std::string reserved_daemon_route(std::string_view path) {
  // Without escapes and dots at the end, the last segment decides: most paths are done here.
  bool plain = path.find('%') == std::string_view::npos && !path.empty() && path.back() != '.' &&
               path.back() != '/';
  if (plain && !is_reserved(path.substr(path.rfind('/') + 1))) return {};
  std::string decoded = fakeapi::http::percent_decode(path);
  std::vector<std::string_view> parts;
  std::string_view rest = decoded;
  while (!rest.empty()) {
    std::size_t slash = rest.find('/');
    std::string_view part = rest.substr(0, slash);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  if (parts.size() != 1 || !is_reserved(parts[0])) return {};
  return "/" + std::string(parts[0]);
}

}  // namespace emulator::proxy
