// The variables a client needs (cli-and-control 3), and how they are printed for shells. Pure. Used
// by `env`, `exec`, the ready line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/cli/endpoint.h"

namespace emulator::cli {

using Variables = std::vector<std::pair<std::string, std::string>>;

// kNames: *_DOMAIN, for a client that can resolve names under the domain. kUrls: *_API_URL and
// *_SANDBOX_URL in their place (plain http to an address; daemon calls are routed by headers).
// Never both: the public suites break when the URLs are set.
enum class Addressing { kNames, kUrls };

Variables client_environment(const Endpoint& endpoint, Addressing addressing);

// `format`: sh, fish, dotenv, json, github (lines for $GITHUB_ENV). kInvalidArgument otherwise.
base::Result<std::string> format_variables(const Variables& variables, std::string_view format);

// The environment of a child: `inherited` ("NAME=value" each) with `variables` set, with the
// variables of the other addressing taken out, and with NO_PROXY extended when a proxy is set, so
// that the emulator is reached directly.
std::vector<std::string> child_environment(const std::vector<std::string>& inherited,
                                           const Variables& variables,
                                           const Endpoint& endpoint);

}  // namespace emulator::cli
