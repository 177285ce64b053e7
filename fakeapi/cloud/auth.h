// Who may call the control plane. Without configured keys everybody may, with any key or none
// (contract-novita 1.3); with keys, only those. Knows nothing of envd or traffic tokens. Also tells
// the two SDK families apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

// Authorization: Bearer, or "".
std::string_view bearer_token(const http::Headers& headers);

// The key of a request: X-API-KEY, else Authorization: Bearer, else "".
std::string_view presented_key(const http::Headers& headers);

// kUnauthenticated with the cloud's sentence when the key is missing or not one of `keys`.
base::Result<> check_key(const std::vector<std::string>& keys, const http::Headers& headers);

// True for Novita's SDKs, false for E2B's and everybody else (contract-novita 7.5). The only place
// that decides; asked where both families use one route with different shapes.
bool is_novita_client(const http::Headers& headers);

}  // namespace fakeapi::cloud
