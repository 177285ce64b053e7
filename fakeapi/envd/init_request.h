// The body of POST /init as a value (contract-envd 1.5). Pure: who may send it and what it changes
// is system_handler's business.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::envd {

struct InitRequest {
  std::optional<std::string> access_token;
  bool escaped_token = false;   // it was written with JSON escapes
  std::string default_user;     // "" = as it is
  std::string default_workdir;  // "" = as it is
  std::optional<std::map<std::string, std::string>> env_vars;
  std::optional<std::chrono::system_clock::time_point> timestamp;
  std::string unsupported;  // the first field that asks for what this daemon does not have, or ""
};

// kInvalidArgument unless `text` is empty or a JSON object whose fields have their types.
base::Result<InitRequest> parse_init_request(std::string_view text);

}  // namespace fakeapi::envd
