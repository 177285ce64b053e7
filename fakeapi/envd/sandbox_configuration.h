// What turns a blank sandbox into somebody's: sent over the control channel (one SOCK_SEQPACKET
// message, JSON), answered by "ok" or "error: <code>: <text>". A pooled sandbox gets one ahead of
// need that only names it. Values only; the emulator encodes, the agent decodes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::envd {

inline constexpr const char* kEnvdVersion = "0.6.13";
inline constexpr std::uint16_t kEnvdPort = 49983;

// The emulator's clock, as the agent is to read it: the machine's and so much more, or one moment.
struct ClockSetting {
  std::int64_t offset_ms = 0;
  std::optional<std::int64_t> frozen_ms;  // since the epoch
  bool operator==(const ClockSetting&) const = default;
};

struct SandboxConfiguration {
  std::string sandbox_id;
  std::string template_id;
  std::string build_id;
  std::string access_token;                     // "" = no check
  std::map<std::string, std::string> env_vars;  // the create request's envVars
  std::string default_user = "user";
  std::string default_workdir;  // "" = the user's home
  // What /metrics reports instead of the host's figures.
  int cpu_count = 2;
  std::int64_t memory_bytes = 0;
  std::int64_t disk_bytes = 0;
  // False: nobody's yet. The agent writes the files by which programs know where they are
  // (contract-envd 5.1), so that the later message need not, and serves nobody.
  bool serve = true;
  bool httpbin = false;  // beside the daemon, httpbin on port 8080: the template's server
  ClockSetting clock;
};

std::string encode(const SandboxConfiguration& configuration);
base::Result<SandboxConfiguration> decode_configuration(std::string_view message);

// The other messages there are: a new size of its memory, and a new setting of the clock.
std::string encode_memory(std::int64_t bytes);
std::optional<std::int64_t> decode_memory(std::string_view message);  // nullopt: it is none
std::string encode_clock(const ClockSetting& clock);
std::optional<ClockSetting> decode_clock(std::string_view message);  // nullopt: it is none

}  // namespace fakeapi::envd
