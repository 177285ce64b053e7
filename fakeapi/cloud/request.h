// What every handler does with a request before its own work: the body, the id in the path, the
// domain of the answer. Used by the handlers; no route, no service.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

inline constexpr std::size_t kMaxBody = 1U << 20U;

// The whole body, however it is framed. kTooLarge over kMaxBody; kDeadlineExceeded when it does not
// come.
base::Task<std::string> read_body(http::ServerConnection& connection);

// The sandbox of /sandboxes/{sandboxID}/...: lower-case letters and digits; "<id>-<anything>" of
// old SDKs is cut at the first dash (contract-novita 7.5). kInvalidArgument "Invalid sandbox ID".
base::Result<std::string> sandbox_id(const http::PathParameters& path);
// The same of an id that stands elsewhere.
base::Result<std::string> sandbox_id(std::string id);

// The `domain` for this client: "" (null) when it came by a name of its own (Host "api.<domain>"),
// because then it derives the sandboxes' hosts from that domain, port included; else the configured
// one.
std::string answer_domain(const http::RequestHead& head, const std::string& public_domain);

}  // namespace fakeapi::cloud
