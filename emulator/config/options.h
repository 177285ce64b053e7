// What the emulator was told to do, as one value: filled by config/command_line.h, read by the
// application and the commands. Says nothing about where a value came from (settings.h does).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/log.h"

namespace emulator::config {

inline constexpr std::uint16_t kDefaultPort = 7463;

// Where sandbox egress goes (cli-and-control 2): through this machine, nowhere, to the built-in
// fake internet (docs/fake-internet.md), or into a network namespace that plays it.
enum class Internet { kHost, kNone, kFake, kNetns };
// How queries to 8.8.8.8 leave: answered through the machine's resolver, or as packets.
enum class DnsMode { kForward, kDirect };
// Which API keys are good: every non-empty one, or only those in api_keys.
enum class Auth { kAny, kStrict };

// So many creates in so long.
struct CreateRate {
  unsigned count = 0;
  std::chrono::seconds per{};
  bool operator==(const CreateRate&) const = default;
};

struct Options {
  std::vector<std::string> hosts = {"127.0.0.1", "::1"};  // listen addresses, numeric
  std::uint16_t port = kDefaultPort;                      // http and https; 0 = any free one
  std::optional<std::uint16_t> https_port;                // TLS only; 0 = any free one
  std::optional<std::uint16_t> dns_port;                  // embedded DNS, udp and tcp
  std::string dns_host = "127.0.0.1";                     // its listen address, numeric
  std::string domain = "localhost";                       // lower case, no leading or trailing dot
  std::optional<unsigned> max_sandboxes;                  // running at once; beyond it 429
  std::optional<CreateRate> create_rate;                  // beyond it 429 with Retry-After
  std::optional<std::uint64_t> seed;                      // ids and tokens that can be foretold
  unsigned pool = 4;                                      // blank sandboxes per template in use
  std::filesystem::path data_dir = "/var/lib/sandlot";
  std::filesystem::path run_dir = "/run/sandlot";
  Internet internet = Internet::kHost;
  std::filesystem::path internet_file;  // kFake: hosts beside the built-in ones; may be empty
  std::string internet_netns;           // kNetns: a name of `ip netns`, or a path
  bool network_immutable = false;       // a sandbox's network settings are fixed at create
  DnsMode dns_mode = DnsMode::kForward;
  std::size_t decision_log = 4096;  // decisions kept for /_sandlot/.../egress; 0 = none
  Auth auth = Auth::kAny;
  std::vector<std::string> api_keys;
  std::string control_token;  // empty: /_sandlot/ is for loopback only
  base::log::Level log_level = base::log::Level::kInfo;
  base::log::Format log_format = base::log::Format::kHuman;
};

}  // namespace emulator::config
