// GET /files: a file as a stream, identity or gzip, with ranges and conditional requests
// (contract-envd 1.6).
#pragma once

#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/sandbox_state.h"

namespace fakeapi::envd {

boost::asio::awaitable<void> handle_download(HttpCall& call, SandboxState& state);

// The value of Content-Disposition for a file name: plain token, quoted, or filename*. Pure.
std::string content_disposition(std::string_view file_name);

}  // namespace fakeapi::envd
