#include "fakeapi/cloud/network_rules.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <boost/asio/ip/address.hpp>

#include "fakeapi/cloud/secret_markers.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

namespace {

using base::Errc;

constexpr std::size_t kMaxHosts = 10;
constexpr std::size_t kLongestHost = 128;
constexpr std::size_t kMaxTransforms = 1;
constexpr std::size_t kMaxHeaders = 20;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestValue = 2048;
constexpr std::size_t kLongestLabel = 63;

base::Failure invalid(std::string message) {
  return base::fail(Errc::kInvalidArgument, std::move(message));
}

// In quotes, with what would break them or the line escaped.
std::string quoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 0x0fU];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Labels of letters, digits, hyphens and underscores that do not begin with a hyphen; one dot at
// the end is fine, an address is not.
bool is_dns_name(std::string_view name) {
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(name), error);
  if (!error) return false;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return false;
  for (;;) {
    auto dot = name.find('.');
    std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel || !is_word(label.front())) return false;
    bool plain =
        std::all_of(label.begin(), label.end(), [](char c) { return is_word(c) || c == '-'; });
    if (!plain) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_word(c) || kMarks.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || c == '\t';
  });
}

base::Result<> validate_host(const std::string& host, const PublicUrls& urls) {
  if (host.empty()) return invalid("Rule domain must not be empty.");
  if (host.size() > kLongestHost) {
    return invalid("Rule domain " + quoted(host) + " exceeds maximum length of " +
                   std::to_string(kLongestHost) + " characters.");
  }
  auto parts = split_rule_host(host);
  bool port_is_fine = parts && (!parts->port || urls.have(*parts));
  if (port_is_fine && is_dns_name(parts->name)) return {};
  return invalid("Rule domain " + quoted(host) + " is not a valid domain name.");
}

base::Result<> validate_header(const std::string& host,
                               const std::string& name,
                               const std::string& value) {
  const std::string where = " in rule for domain " + quoted(host);
  if (name.empty()) return invalid("Header name" + where + " must not be empty.");
  const std::string header = "Header name " + quoted(name) + where;
  if (!is_token(name)) {
    return invalid(header + " must contain only valid HTTP token characters.");
  }
  if (name.size() > kLongestName) {
    return invalid(header + " exceeds maximum length of " + std::to_string(kLongestName) +
                   " characters.");
  }
  const std::string about = "Value for header " + quoted(name) + where;
  if (!is_header_value(value)) return invalid(about + " contains invalid characters.");
  if (value.size() > kLongestValue) {
    return invalid(about + " exceeds maximum length of " + std::to_string(kLongestValue) +
                   " characters.");
  }
  return {};
}

}  // namespace

std::optional<RuleHost> split_rule_host(std::string_view host) {
  auto colon = host.rfind(':');
  if (colon == std::string_view::npos) return RuleHost{host, std::nullopt};
  std::string_view digits = host.substr(colon + 1);
  unsigned port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || port == 0 || port > 65535 || digits.front() == '0') return std::nullopt;
  return RuleHost{host.substr(0, colon), static_cast<std::uint16_t>(port)};
}

bool PublicUrls::have(const RuleHost& host) const {
  if (std::find(ports.begin(), ports.end(), host.port) == ports.end()) return false;
  std::string_view name = host.name;
  if (name.ends_with('.')) name.remove_suffix(1);
  auto dot = name.find('.');
  if (dot == std::string_view::npos || !http::iequals(name.substr(dot + 1), domain)) return false;
  // As the front door reads it (contract-network 3.2): what is before the first dash is the port.
  std::string_view label = name.substr(0, dot);
  auto digits = label.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string_view::npos && label[digits] == '-';
}

base::Result<> validate(const NetworkRules& rules, const PublicUrls& urls) {
  if (rules.size() > kMaxHosts) {
    return invalid("Network rules can have at most " + std::to_string(kMaxHosts) + " domains.");
  }
  for (const auto& [host, list] : rules) {
    SANDLOT_CHECK(validate_host(host, urls));
    if (list.size() > kMaxTransforms) {
      return invalid("Domain " + quoted(host) + " can have at most " +
                     std::to_string(kMaxTransforms) + " transform rule.");
    }
    std::set<std::string> secrets;
    for (const NetworkRule& rule : list) {
      if (!rule.transform || !rule.transform->headers) continue;
      const auto& headers = *rule.transform->headers;
      if (headers.size() > kMaxHeaders) {
        return invalid("Domain " + quoted(host) + " can have at most " +
                       std::to_string(kMaxHeaders) + " headers per rule.");
      }
      for (const auto& [name, value] : headers) {
        SANDLOT_CHECK(validate_header(host, name, value));
        SANDLOT_TRY(auto markers, find_secret_markers(value));
        for (auto& marker : markers) secrets.insert(std::move(marker.name));
        if (secrets.size() > kMaxSecretsOfHost) {
          return invalid("Rule domain " + quoted(host) + " references more than " +
                         std::to_string(kMaxSecretsOfHost) + " secrets.");
        }
      }
    }
  }
  return {};
}

}  // namespace fakeapi::cloud
