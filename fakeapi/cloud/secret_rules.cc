#include "fakeapi/cloud/secret_rules.h"

#include <algorithm>

namespace fakeapi::cloud {

namespace {

using base::Errc;

constexpr std::size_t kLongestName = 128;
constexpr std::size_t kLongestValue = 16U << 10U;
constexpr std::size_t kLongestHost = 253;
constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestShown = 300;  // of what a client sent, in a message

base::Failure invalid(std::string message) {
  return base::fail(Errc::kInvalidArgument, std::move(message));
}

// In quotes, as JSON would show it, but for what no name has.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, kLongestShown)) {
    if (c == '"' || c == '\\') out += '\\';
    bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out += control ? '?' : c;
  }
  return out + "\"";
}

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool has_only(std::string_view text, std::string_view marks) {
  return std::all_of(text.begin(), text.end(), [marks](char c) {
    return is_alnum(c) || marks.find(c) != std::string_view::npos;
  });
}

bool is_variable(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return has_only(name, "_");
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > kLongestHost) return false;
  for (;;) {
    auto dot = host.find('.');
    std::string_view label = host.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel || !has_only(label, "-")) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    if (dot == std::string_view::npos) return true;
    host.remove_prefix(dot + 1);
  }
}

base::Result<std::string> normalise_host(std::string_view text) {
  std::string host = lower(trimmed(text));
  if (host.empty()) return invalid("host cannot be empty");
  if (host.find_first_of("/?#@:") != std::string::npos) {
    return invalid("host " + quoted(host) + " must be a hostname only");
  }
  std::string_view name = host;
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.find('*') != std::string_view::npos) {
    return invalid("invalid host " + quoted(host));
  }
  if (is_host(name)) return host;
  return invalid("host " + quoted(host) + " must be a hostname or wildcard hostname");
}

}  // namespace

base::Result<> check_secret_name(std::string_view name) {
  bool fine = !name.empty() && name.size() <= kLongestName && is_alnum(name.front()) &&
              has_only(name, "._-");
  if (fine) return {};
  return invalid("secret name " + quoted(name) +
                 " must be 1-128 characters and contain only letters, numbers, dots, underscores, "
                 "and hyphens");
}

base::Result<std::string> canonical_secret_name(std::string_view text) {
  std::string name = lower(trimmed(text));
  bool fine = !name.empty() && name.size() <= kLongestName && has_only(name, "_-") &&
              !name.starts_with(kSecretIdPrefix);
  if (fine) return name;
  return invalid("secret name is invalid");
}

base::Result<std::vector<std::string>> normalise_secret_hosts(
    const std::vector<std::string>& hosts) {
  if (hosts.empty()) return invalid("hosts is required");
  std::vector<std::string> all;
  for (const std::string& text : hosts) {
    SANDLOT_TRY(std::string host, normalise_host(text));
    if (std::find(all.begin(), all.end(), host) == all.end()) all.push_back(std::move(host));
  }
  return all;
}

base::Result<> check_secret_value(std::string_view value) {
  if (value.empty()) return invalid("value is required");
  if (value.size() > kLongestValue) {
    return invalid("value exceeds maximum length of " + std::to_string(kLongestValue) + " bytes");
  }
  bool fits = std::all_of(value.begin(), value.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || c == '\t';
  });
  if (fits) return {};
  return invalid(
      "value contains characters that no HTTP header may have (a line break at its end?)");
}

base::Result<> check_secret_variables(const std::map<std::string, std::string>& secrets,
                                      const std::map<std::string, std::string>& variables) {
  for (const auto& [variable, name] : secrets) {
    if (!is_variable(variable)) {
      return invalid("secrets key " + quoted(variable) +
                     " must be a valid sandbox environment variable name");
    }
    if (variables.contains(variable)) {
      return invalid("envVars and secrets both define " + quoted(variable));
    }
    SANDLOT_CHECK(check_secret_name(name));
  }
  return {};
}

}  // namespace fakeapi::cloud
