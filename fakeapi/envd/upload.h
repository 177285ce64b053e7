// POST /files: multipart or raw bodies, plain or gzip'ed, streamed to disk (contract-envd 1.7), and
// POST /files/compose (1.9).
#pragma once

#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/sandbox_state.h"

namespace fakeapi::envd {

boost::asio::awaitable<void> handle_upload(HttpCall& call, SandboxState& state);
boost::asio::awaitable<void> handle_compose(HttpCall& call, SandboxState& state);

}  // namespace fakeapi::envd
