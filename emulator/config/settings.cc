#include "emulator/config/settings.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "emulator/config/units.h"

namespace emulator::config {
namespace {

using Texts = std::vector<std::string>;

base::Failure wrong(std::string_view text, std::string_view wanted) {
  return base::fail(base::Errc::kInvalidArgument,
                    "'" + std::string(text) + "' is not " + std::string(wanted));
}

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

base::Result<> apply_host(Options& options, const Texts& texts) {
  std::vector<std::string> hosts;
  for (const std::string& text : texts) {
    if (text == "localhost" || text == "loopback") {
      hosts.insert(hosts.end(), {"127.0.0.1", "::1"});
    } else if (text.size() > 2 && text.front() == '[' && text.back() == ']' &&
               is_address(text.substr(1, text.size() - 2))) {
      hosts.push_back(text.substr(1, text.size() - 2));
    } else if (is_address(text)) {
      hosts.push_back(text);
    } else {
      return wrong(text, "an IP address to listen on (127.0.0.1, ::1, 0.0.0.0, ::)");
    }
  }
  options.hosts = std::move(hosts);
  return {};
}

base::Result<> apply_port(Options& options, const Texts& texts) {
  SANDLOT_TRY(options.port, parse_port(texts.back()));
  return {};
}

base::Result<std::optional<std::uint16_t>> port_or_off(const std::string& text) {
  if (text == "off") return std::optional<std::uint16_t>();
  auto port = parse_port(text);
  if (!port) return wrong(text, "'off' or a port (0 to 65535; 0 takes any free one)");
  return std::optional<std::uint16_t>(*port);
}
base::Result<> apply_https_port(Options& options, const Texts& texts) {
  SANDLOT_TRY(options.https_port, port_or_off(texts.back()));
  return {};
}
base::Result<> apply_dns_port(Options& options, const Texts& texts) {
  SANDLOT_TRY(options.dns_port, port_or_off(texts.back()));
  return {};
}
base::Result<> apply_dns_host(Options& options, const Texts& texts) {
  if (!is_address(texts.back())) return wrong(texts.back(), "an IP address");
  options.dns_host = texts.back();
  return {};
}

// One label after another, each of [a-z0-9-] (RFC 1123); a port here would end in the public URLs
// twice.
base::Result<> apply_domain(Options& options, const Texts& texts) {
  std::string domain;
  for (char c : texts.back()) domain += (c >= 'A' && c <= 'Z') ? static_cast<char>(c | 0x20) : c;
  bool label_start = true;
  bool good = !domain.empty() && domain.size() <= 200;
  for (std::size_t i = 0; i < domain.size() && good; ++i) {
    const char c = domain[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool last = i + 1 == domain.size() || domain[i + 1] == '.';
    good = letter || (c == '-' && !label_start && !last) ||
           (c == '.' && !label_start && i + 1 < domain.size());
    label_start = c == '.';
  }
  if (!good)
    return wrong(texts.back(),
                 "a domain name (localhost, sbx.example.com), without scheme or port");
  options.domain = domain;
  return {};
}

base::Result<> apply_pool(Options& options, const Texts& texts) {
  const std::string& text = texts.back();
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 1000) {
    return wrong(text, "a number of blank sandboxes (0 to 1000)");
  }
  options.pool = value;
  return {};
}

base::Result<> apply_seed(Options& options, const Texts& texts) {
  const std::string& text = texts.back();
  options.seed.reset();
  if (text == "random") return {};
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return wrong(text, "'random' or a number (0 to 2^64 - 1)");
  }
  options.seed = value;
  return {};
}

std::optional<unsigned> count_from_one(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value > 0 && value <= 1000000 ? std::optional(value) : std::nullopt;
}

base::Result<> apply_max_sandboxes(Options& options, const Texts& texts) {
  options.max_sandboxes.reset();
  if (texts.back() == "unlimited") return {};
  options.max_sandboxes = count_from_one(texts.back());
  if (!options.max_sandboxes) return wrong(texts.back(), "a number of sandboxes, or 'unlimited'");
  return {};
}

// "5", "5/s", "100/m", "1000/h".
base::Result<> apply_create_rate(Options& options, const Texts& texts) {
  const std::string& text = texts.back();
  options.create_rate.reset();
  if (text == "unlimited") return {};
  auto slash = text.find('/');
  std::string_view unit =
      slash == std::string::npos ? "s" : std::string_view(text).substr(slash + 1);
  auto count = count_from_one(std::string_view(text).substr(0, slash));
  std::chrono::seconds per{unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0};
  if (!count || per.count() == 0) {
    return wrong(text, "a rate of creates (5/s, 100/m, 1000/h), or 'unlimited'");
  }
  options.create_rate = CreateRate{*count, per};
  return {};
}

base::Result<std::filesystem::path> absolute_path(const std::string& text) {
  if (text.empty() || text.front() != '/') return wrong(text, "an absolute path");
  std::filesystem::path path = std::filesystem::path(text).lexically_normal();
  // The overlay's options are lists separated by ':' and ','; such a name could not be mounted.
  if (text.find_first_of(":,\\\n") != std::string::npos) {
    return wrong(text, "a usable path: it must not contain ':', ',' or '\\'");
  }
  return path.has_filename() ? path : path.parent_path();
}
base::Result<> apply_data_dir(Options& options, const Texts& texts) {
  SANDLOT_TRY(options.data_dir, absolute_path(texts.back()));
  return {};
}
base::Result<> apply_run_dir(Options& options, const Texts& texts) {
  SANDLOT_TRY(options.run_dir, absolute_path(texts.back()));
  return {};
}

base::Result<> apply_internet(Options& options, const Texts& texts) {
  const std::string& text = texts.back();
  if (text == "host") {
    options.internet = Internet::kHost;
  } else if (text == "none") {
    options.internet = Internet::kNone;
  } else if (text == "fake" || text.starts_with("fake:")) {
    options.internet = Internet::kFake;
    options.internet_file = text.substr(std::min(text.size(), std::string_view("fake:").size()));
    if (text == "fake:") return wrong(text, "'fake:FILE' with the name of a file");
  } else if (text.starts_with("netns:")) {
    std::string name = text.substr(std::string_view("netns:").size());
    bool path = name.starts_with('/');
    if (name.empty() || name == "." || name == ".." ||
        (!path && name.find('/') != std::string::npos))
      return wrong(text, "'netns:NAME' with a name of 'ip netns', or an absolute path");
    options.internet = Internet::kNetns;
    options.internet_netns = std::move(name);
  } else {
    return wrong(text, "one of: host, none, fake, fake:FILE, netns:NAME");
  }
  return {};
}

base::Result<> apply_dns_mode(Options& options, const Texts& texts) {
  if (texts.back() != "forward" && texts.back() != "direct") {
    return wrong(texts.back(), "one of: forward, direct");
  }
  options.dns_mode = texts.back() == "direct" ? DnsMode::kDirect : DnsMode::kForward;
  return {};
}

base::Result<> apply_network_immutable(Options& options, const Texts& texts) {
  if (texts.back() != "true" && texts.back() != "false")
    return wrong(texts.back(), "one of: true, false");
  options.network_immutable = texts.back() == "true";
  return {};
}

base::Result<> apply_decision_log(Options& options, const Texts& texts) {
  constexpr std::size_t kMost = 1000000;
  const std::string& text = texts.back();
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kMost) {
    return wrong(text, "a number of decisions (0 to 1000000)");
  }
  options.decision_log = value;
  return {};
}

base::Result<> apply_auth(Options& options, const Texts& texts) {
  if (texts.back() != "any" && texts.back() != "strict")
    return wrong(texts.back(), "one of: any, strict");
  options.auth = texts.back() == "strict" ? Auth::kStrict : Auth::kAny;
  return {};
}

base::Result<> apply_api_key(Options& options, const Texts& texts) {
  for (const std::string& text : texts) {
    bool printable = !text.empty();
    for (char c : text) printable = printable && c > ' ' && c < '\x7f';
    if (!printable)
      return base::fail(base::Errc::kInvalidArgument, "an API key is printable and not empty");
  }
  options.api_keys = texts;
  return {};
}

base::Result<> apply_control_token(Options& options, const Texts& texts) {
  if (texts.back().size() < 8) {
    return base::fail(base::Errc::kInvalidArgument, "a control token has at least 8 characters");
  }
  options.control_token = texts.back();
  return {};
}

base::Result<> apply_log_level(Options& options, const Texts& texts) {
  using base::log::Level;
  const std::string& text = texts.back();
  if (text == "debug") {
    options.log_level = Level::kDebug;
  } else if (text == "info") {
    options.log_level = Level::kInfo;
  } else if (text == "warn") {
    options.log_level = Level::kWarn;
  } else if (text == "error") {
    options.log_level = Level::kError;
  } else {
    return wrong(text, "one of: debug, info, warn, error");
  }
  return {};
}

base::Result<> apply_log_format(Options& options, const Texts& texts) {
  if (texts.back() != "human" && texts.back() != "json")
    return wrong(texts.back(), "one of: human, json");
  options.log_format =
      texts.back() == "json" ? base::log::Format::kJson : base::log::Format::kHuman;
  return {};
}

// name, value, default, help, repeatable, secret, apply. Order: as in the help.
constexpr Setting kSettings[] = {
    {"host", "ADDRESS", "127.0.0.1,::1", "listen address; anything but loopback must be asked for",
     true, false, apply_host},
    {"port", "PORT", "7463", "one port for http and https; 0 takes a free one", false, false,
     apply_port},
    {"https-port", "PORT", "off", "a second listener, TLS only", false, false, apply_https_port},
    {"dns-port", "PORT", "off", "embedded DNS for the domain and all names under it", false, false,
     apply_dns_port},
    {"dns-host", "ADDRESS", "127.0.0.1", "listen address of the embedded DNS", false, false,
     apply_dns_host},
    {"domain", "NAME", "localhost", "base domain of the public URLs", false, false, apply_domain},
    {"pool", "N", "4", "blank sandboxes kept ready per template in use", false, false, apply_pool},
    {"max-sandboxes", "N", "unlimited", "sandboxes that run at once; one more is 429", false, false,
     apply_max_sandboxes},
    {"create-rate", "RATE", "unlimited",
     "creates: 5/s, 100/m, 1000/h; one more is 429 with Retry-After", false, false,
     apply_create_rate},
    {"data-dir", "DIR", "/var/lib/sandlot",
     "templates, sandboxes, the CA; $XDG_STATE_HOME/sandlot when that is set", false, false,
     apply_data_dir},
    {"run-dir", "DIR", "/run/sandlot", "what dies with the boot", false, false, apply_run_dir},
    {"internet", "MODE", "host",
     "where sandboxes' traffic goes: host, none, fake[:FILE], netns:NAME", false, false,
     apply_internet},
    {"dns-mode", "MODE", "forward",
     "queries of sandboxes: forward (through this machine's resolver), direct", false, false,
     apply_dns_mode},
    {"network-immutable", "BOOL", "false",
     "true: a sandbox's network settings are fixed at create, changes are 409", false, false,
     apply_network_immutable},
    {"decision-log", "N", "4096", "decisions about egress that are kept; 0: none", false, false,
     apply_decision_log},
    {"auth", "MODE", "any", "API keys: any (every non-empty one), strict (those of --api-key)",
     false, false, apply_auth},
    {"api-key", "KEY", "", "a key that --auth strict accepts; repeatable", true, true,
     apply_api_key},
    {"control-token", "TOKEN", "",
     "opens /_sandlot/ to more than loopback, for requests that carry it", false, true,
     apply_control_token},
    {"log-level", "LEVEL", "info", "debug, info, warn, error", false, false, apply_log_level},
    {"log-format", "FORMAT", "human", "human, json", false, false, apply_log_format},
    {"seed", "N", "random",
     "for tests only: the same ids and tokens in every run, and no sandboxes ahead of need", false,
     false, apply_seed},
};

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view name) {
  std::string wanted(name);
  for (char& c : wanted) {
    if (c == '_') c = '-';
  }
  for (const Setting& setting : kSettings) {
    if (setting.name == wanted) return &setting;
  }
  return nullptr;
}

std::string variable_of(const Setting& setting) {
  std::string name = "SANDLOT_";
  for (char c : setting.name)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kFlag:
      return "flag";
    case Origin::kEnvironment:
      return "environment";
    case Origin::kFile:
      return "file";
    case Origin::kDefault:
      break;
  }
  return "default";
}

std::filesystem::path default_data_dir(const char* xdg_state_home) {
  if (xdg_state_home != nullptr && *xdg_state_home == '/')
    return std::filesystem::path(xdg_state_home) / "sandlot";
  return "/var/lib/sandlot";
}

}  // namespace emulator::config
