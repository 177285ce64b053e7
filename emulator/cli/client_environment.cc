#include "emulator/cli/client_environment.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

namespace emulator::cli {
namespace {

constexpr std::array<std::string_view, 2> kDomainNames = {"NOVITA_DOMAIN", "E2B_DOMAIN"};
constexpr std::array<std::string_view, 5> kUrlNames = {
    "NOVITA_API_URL", "NOVITA_SANDBOX_URL", "E2B_API_URL", "E2B_SANDBOX_URL", "E2B_VOLUME_API_URL"};
// Clients that are told to debug talk to a fixed port of their own.
constexpr std::array<std::string_view, 2> kDebugNames = {"NOVITA_DEBUG", "E2B_DEBUG"};
constexpr std::array<std::string_view, 6> kProxyNames = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
                                                         "http_proxy", "https_proxy", "all_proxy"};

bool plain(std::string_view value) {
  for (char c : value) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && std::string_view("_-./:@%+=,[]").find(c) == std::string_view::npos) return false;
  }
  return !value.empty() && value.find('[') == std::string_view::npos;
}

// 'it'\''s' for sh, 'it\'s' for fish.
std::string quoted(std::string_view value, std::string_view quote, bool backslashes) {
  if (plain(value)) return std::string(value);
  std::string result = "'";
  for (char c : value) {
    if (c == '\'') {
      result += quote;
    } else {
      if (c == '\\' && backslashes) result += '\\';
      result += c;
    }
  }
  return result + "'";
}

std::string dotenv(std::string_view value) {
  if (plain(value)) return std::string(value);
  std::string result = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\' || c == '$') result += '\\';
    result += c;
  }
  return result + "\"";
}

template <class List>
bool listed(const List& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Variables client_environment(const Endpoint& endpoint, Addressing addressing) {
  Variables variables;
  const std::string port = ":" + std::to_string(endpoint.port);
  if (addressing == Addressing::kNames) {
    for (std::string_view name : kDomainNames) variables.emplace_back(name, endpoint.domain + port);
  } else {
    const bool loopback = endpoint.host == "127.0.0.1" || endpoint.host == "::1";
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    const std::string host = loopback ? "localhost"
                             : v6     ? "[" + endpoint.host + "]"
                                      : endpoint.host;
    for (std::string_view name : kUrlNames) variables.emplace_back(name, "http://" + host + port);
  }
  for (const char* name : {"NOVITA_API_KEY", "E2B_API_KEY"})
    variables.emplace_back(name, endpoint.api_key);
  if (!endpoint.bundle_file.empty()) {
    for (const char* name :
         {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
      variables.emplace_back(name, endpoint.bundle_file);
    }
  }
  return variables;
}

base::Result<std::string> format_variables(const Variables& variables, std::string_view format) {
  std::string text;
  if (format == "json") {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (const auto& [name, value] : variables) object[name] = value;
    return object.dump(2) + "\n";
  }
  for (const auto& [name, value] : variables) {
    if (format == "sh") {
      text += "export " + name + "=" + quoted(value, R"('\'')", false) + "\n";
    } else if (format == "fish") {
      text += "set -gx " + name + " " + quoted(value, R"(\')", true) + "\n";
    } else if (format == "dotenv") {
      text += name + "=" + dotenv(value) + "\n";
    } else if (format == "github") {
      text += name + "=" + value + "\n";
    } else {
      return base::fail(base::Errc::kInvalidArgument,
                        "unknown format '" + std::string(format) + "'");
    }
  }
  return text;
}

std::vector<std::string> child_environment(const std::vector<std::string>& inherited,
                                           const Variables& variables,
                                           const Endpoint& endpoint) {
  std::vector<std::string> result;
  bool proxied = false;
  std::string no_proxy;
  for (const std::string& entry : inherited) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    const std::string_view value =
        std::string_view(entry).substr(std::min(name.size() + 1, entry.size()));
    const bool replaced =
        std::any_of(variables.begin(), variables.end(),
                    [name](const auto& variable) { return variable.first == name; });
    if (replaced || listed(kDomainNames, name) || listed(kUrlNames, name) ||
        listed(kDebugNames, name))
      continue;
    if (listed(kProxyNames, name) && !value.empty()) proxied = true;
    if (name == "NO_PROXY" || name == "no_proxy") {
      if (no_proxy.empty()) no_proxy = value;
      continue;
    }
    result.push_back(entry);
  }
  if (proxied) {
    for (const std::string& host :
         {std::string("localhost"), std::string(".localhost"), std::string("127.0.0.1"),
          std::string("::1"), endpoint.domain, "." + endpoint.domain}) {
      if (("," + no_proxy + ",").find("," + host + ",") == std::string::npos) {
        no_proxy += (no_proxy.empty() ? "" : ",") + host;
      }
    }
  }
  if (!no_proxy.empty()) {
    result.push_back("NO_PROXY=" + no_proxy);
    result.push_back("no_proxy=" + no_proxy);
  }
  for (const auto& [name, value] : variables) {
    std::string entry = name;
    entry += '=';
    entry += value;
    result.push_back(std::move(entry));
  }
  return result;
}

}  // namespace emulator::cli
