#include "fakeapi/cloud/network_options.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/ip/address.hpp>

namespace fakeapi::cloud {

namespace {

namespace ip = boost::asio::ip;
using base::Errc;

constexpr std::string_view kAllTraffic = "0.0.0.0/0";
constexpr std::size_t kMaxEntries = 4096;

enum class Kind { kDomain, kUnspecified, kAddress };

// What an entry is: an address or CIDR, one whose address is 0.0.0.0 or :: (refused), or something
// else.
Kind classify(std::string_view text) {
  auto slash = text.find('/');
  boost::system::error_code error;
  auto address = ip::make_address(std::string(text.substr(0, slash)), error);
  // Scopes are no part of an address here; a zero byte would end it unseen.
  bool odd = text.find('%') != std::string_view::npos || text.find('\0') != std::string_view::npos;
  if (error || odd) return Kind::kDomain;
  if (slash != std::string_view::npos) {
    std::string_view length = text.substr(slash + 1);
    int bits = 0;
    auto [end, failed] = std::from_chars(length.data(), length.data() + length.size(), bits);
    bool whole = failed == std::errc() && end == length.data() + length.size() && !length.empty();
    // Leading zeros are fine here, as in Go's net.ParseCIDR; in addresses they are not.
    if (!whole || length.front() == '-') return Kind::kDomain;
    if (bits > (address.is_v4() ? 32 : 128)) return Kind::kDomain;
  }
  bool unspecified = address.is_unspecified();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    unspecified = ip::make_address_v4(ip::v4_mapped, address.to_v6()).is_unspecified();
  }
  return unspecified ? Kind::kUnspecified : Kind::kAddress;
}

bool is_accepted(std::string_view text) {
  return text == kAllTraffic || classify(text) == Kind::kAddress;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '$' || c == '{' || c == '}';
}

base::Result<> validate_mask(const std::string& mask) {
  std::string_view host = std::string_view(mask).substr(0, mask.rfind(':'));
  bool ascii = std::all_of(host.begin(), host.end(),
                           [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii) {
    return base::fail(Errc::kInvalidArgument,
                      "mask request host '" + std::string(host) +
                          "' is not ASCII. Please use ASCII characters only.");
  }
  // A label may not begin or end with a hyphen. Everything else that would break a header line is
  // refused too.
  bool valid = !host.empty() && std::all_of(host.begin(), host.end(), is_host_character) &&
               std::all_of(mask.begin(), mask.end(), [](char c) { return c > ' ' && c < 0x7f; });
  for (std::string_view rest = host; valid && !rest.empty();) {
    auto dot = rest.find('.');
    std::string_view label = rest.substr(0, dot);
    valid = label.empty() || (label.front() != '-' && label.back() != '-');
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (valid) return {};
  return base::fail(Errc::kInvalidArgument, "mask request host is not valid: " + mask);
}

}  // namespace

bool NetworkOptions::asks_for_what_is_not_built() const {
  return has_egress_proxy || has_https_ports;
}

NetworkOptions merged(NetworkOptions base, const NetworkOptions& change) {
  if (change.allow_out) base.allow_out = change.allow_out;
  if (change.deny_out) base.deny_out = change.deny_out;
  if (change.allow_public_traffic) base.allow_public_traffic = change.allow_public_traffic;
  if (change.mask_request_host) base.mask_request_host = change.mask_request_host;
  if (change.rules) base.rules = change.rules;
  return base;
}

base::Result<> validate(const NetworkOptions& options, const PublicUrls& urls) {
  if (options.mask_request_host) SANDLOT_CHECK(validate_mask(*options.mask_request_host));
  const auto denied = options.deny_out.value_or(std::vector<std::string>());
  const auto allowed = options.allow_out.value_or(std::vector<std::string>());
  if (denied.size() + allowed.size() > kMaxEntries) {
    return base::fail(Errc::kInvalidArgument,
                      "network lists can have at most " + std::to_string(kMaxEntries) + " entries");
  }
  for (const std::string& entry : denied) {
    if (!is_accepted(entry)) {
      return base::fail(Errc::kInvalidArgument, "invalid denied CIDR " + entry);
    }
  }
  bool has_domain = false;
  for (const std::string& entry : allowed) {
    if (classify(entry) == Kind::kDomain) {
      has_domain = true;
    } else if (!is_accepted(entry)) {
      return base::fail(Errc::kInvalidArgument, "invalid allowed address " + entry);
    }
  }
  bool blocks_all = std::find(denied.begin(), denied.end(), kAllTraffic) != denied.end();
  if (has_domain && !blocks_all) {
    return base::fail(
        Errc::kInvalidArgument,
        "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' "
        "in deny out to block all other traffic.");
  }
  if (options.rules) SANDLOT_CHECK(validate(*options.rules, urls));
  return {};
}

base::Result<> validate_secure(const NetworkOptions& options, bool secure) {
  if (secure || !options.is_private()) return {};
  return base::fail(Errc::kInvalidArgument,
                    "You cannot create a sandbox without public access unless you enable secure "
                    "envd access via 'secure' flag.");
}

base::Result<> validate_change(const std::optional<NetworkOptions>& before,
                               const NetworkOptions& change,
                               bool secure,
                               const PublicUrls& urls) {
  NetworkOptions after = merged(before.value_or(NetworkOptions()), change);
  if (!change.rules) after.rules.reset();
  SANDLOT_CHECK(validate(after, urls));
  return validate_secure(after, secure);
}

}  // namespace fakeapi::cloud
