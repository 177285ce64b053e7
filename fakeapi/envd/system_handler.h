// The daemon's small routes with JSON of their own: /metrics, /envs, /init (contract-envd 1.3-1.5).
#pragma once

#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/resource_usage.h"
#include "fakeapi/envd/sandbox_state.h"

namespace fakeapi::envd {

boost::asio::awaitable<void> handle_metrics(HttpCall& call, SandboxState& state, CpuMeter& cpu);
boost::asio::awaitable<void> handle_envs(HttpCall& call, SandboxState& state);
// Parts that a container cannot have (mounted volumes, a CA bundle, the events address) are refused
// with 501.
boost::asio::awaitable<void> handle_init(HttpCall& call, SandboxState& state);

}  // namespace fakeapi::envd
