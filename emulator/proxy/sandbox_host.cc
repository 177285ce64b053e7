#include "emulator/proxy/sandbox_host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "emulator/base/ids.h"
#include "fakeapi/http/message.h"

namespace emulator::proxy {

using fakeapi::http::iequals;

namespace {

constexpr std::string_view kInvalidHost = "Invalid host";
constexpr std::string_view kInvalidId = "Invalid sandbox ID";
constexpr std::string_view kInvalidPort = "Invalid sandbox port";
constexpr std::string_view kMissingHeader = "missing header";

Target failed(std::string_view sentence) {
  Target target;
  target.error = sentence;
  return target;
}

Target sandbox(std::string_view port_text, std::string_view id) {
  Target target;
  // Unsigned decimal without a sign, as Go's ParseUint(s, 10, 64) reads it.
  const char* end = port_text.data() + port_text.size();
  auto [stop, error] = std::from_chars(port_text.data(), end, target.port);
  if (port_text.empty() || error != std::errc() || stop != end) return failed(kInvalidPort);
  if (!base::is_sandbox_id(id)) return failed(kInvalidId);
  target.kind = Target::Kind::kSandbox;
  target.sandbox_id = id;
  return target;
}

bool starts_with_sandbox_label(std::string_view host) {
  return host.size() > 8 && iequals(host.substr(0, 8), "sandbox.");
}

std::string_view without_final_dot(std::string_view name) {
  return name.size() > 1 && name.back() == '.' ? name.substr(0, name.size() - 1) : name;
}

bool is_control_name(std::string_view name, const HostNames& names) {
  name = without_final_dot(name);
  if (iequals(name, names.domain) || iequals(name, "api.localhost")) return true;
  if (name.size() > 4 && iequals(name.substr(0, 4), "api.") &&
      iequals(name.substr(4), names.domain))
    return true;
  return std::any_of(names.extra.begin(), names.extra.end(),
                     [name](const std::string& extra) { return iequals(name, extra); });
}

bool is_below(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size()) return iequals(name, suffix);
  std::size_t cut = name.size() - suffix.size();
  return name[cut - 1] == '.' && iequals(name.substr(cut), suffix);
}

}  // namespace

std::string_view strip_port(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    std::size_t close = host.find(']');
    return close == std::string_view::npos ? host : host.substr(1, close - 1);
  }
  std::size_t colon = host.find(':');
  // More than one colon: a bare IPv6 address.
  if (colon == std::string_view::npos || host.find(':', colon + 1) != std::string_view::npos)
    return host;
  return host.substr(0, colon);
}

bool is_ip_literal(std::string_view host) {
  std::array<char, INET6_ADDRSTRLEN + 1> text{};
  if (host.empty() || host.size() >= text.size()) return false;
  char last = host.back();
  bool numeric = (last >= '0' && last <= '9') || host.find(':') != std::string_view::npos;
  if (!numeric) return false;
  std::memcpy(text.data(), host.data(), host.size());
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.data(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.data(), address.data()) == 1;
}

Target find_target(std::string_view host, const RoutingHeaders& headers, const HostNames& names) {
  std::string_view name = strip_port(host);
  bool generic = iequals(name, "localhost") || is_ip_literal(name);
  if (generic || starts_with_sandbox_label(name)) {
    std::string_view id = headers.novita_id.empty() ? headers.e2b_id : headers.novita_id;
    std::string_view port = headers.novita_port.empty() ? headers.e2b_port : headers.novita_port;
    if (!id.empty() || !port.empty()) {
      if (id.empty() || port.empty()) return failed(kMissingHeader);
      return sandbox(port, id);
    }
  }
  if (generic || is_control_name(name, names)) {
    Target target;
    target.kind = Target::Kind::kControlPlane;
    return target;
  }
  // The leftmost label is "<port>-<id>[-<anything>]"; what follows the first dot is not looked at.
  std::size_t dot = host.find('.');
  if (dot == std::string_view::npos) return failed(kInvalidHost);
  std::string_view label = host.substr(0, dot);
  std::size_t dash = label.find('-');
  if (dash == std::string_view::npos) return failed(kInvalidHost);
  std::string_view rest = label.substr(dash + 1);
  return sandbox(label.substr(0, dash), rest.substr(0, rest.find('-')));
}

bool is_local_name(std::string_view name, const HostNames& names) {
  name = without_final_dot(name);
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  for (char c : name) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-' || c == '_';
    if (c == '.' && label > 0) {
      label = 0;
    } else if (!allowed || ++label > 63) {
      return false;
    }
  }
  if (label == 0) return false;
  if (is_below(name, "localhost") || is_below(name, names.domain)) return true;
  return std::any_of(names.extra.begin(), names.extra.end(),
                     [name](const std::string& extra) { return iequals(name, extra); });
}

}  // namespace emulator::proxy
