// How others find a running emulator: <run_dir>/<instance>/endpoint.json, written by the
// application when it is ready and read by `env`, `ready`, `gc`. Knows nothing of what is served
// there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "emulator/base/result.h"
#include "emulator/config/options.h"

namespace emulator::cli {

// 40 hex digits, as the clients check; "10ca1" at both ends says what it is.
inline constexpr const char* kLocalApiKey = "e2b_10ca100000000000000000000000000000010ca1";

struct Endpoint {
  std::string instance;  // [a-z0-9]{6}
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // of the pid, in clock ticks since boot: tells a re-used pid apart
  std::string boot_id;
  std::string host = "127.0.0.1";  // an address that reaches the listener
  std::uint16_t port = 0;          // the real one
  std::optional<std::uint16_t> https_port;
  std::string domain = "localhost";  // without the port
  std::string api_key = kLocalApiKey;
  std::string ca_file;      // the local CA, PEM
  std::string bundle_file;  // system roots + the local CA, PEM
  std::string dns_host;     // embedded DNS; meaningful with dns_port
  std::optional<std::uint16_t> dns_port;
};

// Fills what follows from the options (domain, api_key, dns_host) and from this process (pid,
// start_time, boot_id).
Endpoint make_endpoint(const config::Options& options, std::string instance);

// Writes <instance_dir>/endpoint.json (0644), complete or not at all, and lets everybody through
// the directory (0711, not listable): `sandlot env` runs as a user while the emulator runs as root.
base::Result<> write_endpoint(const std::filesystem::path& instance_dir, const Endpoint& endpoint);
base::Result<Endpoint> read_endpoint(const std::filesystem::path& file);

// The running emulator under `run_dir` (alive by pid, start time and boot id). `port` chooses among
// several; without it the one on the default port, or the only one. kNotFound: none runs.
// kConflict: several, and the message lists their ports.
base::Result<Endpoint> find_endpoint(const std::filesystem::path& run_dir,
                                     std::optional<std::uint16_t> port = std::nullopt);
bool is_alive(const Endpoint& endpoint);

// "Ready" on stdout: URLs and export lines for people, one JSON line {"event":"ready",...} when
// stdout is no terminal.
void announce_ready(const Endpoint& endpoint);

}  // namespace emulator::cli
