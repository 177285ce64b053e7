// Request bodies of the snapshot, clone, fork, reset and commit routes as plain values; JSON stays
// in snapshot_bodies_json.cc. Used by snapshots_handler. Errors as in bodies.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/snapshot_service.h"

namespace fakeapi::cloud {

// The most clones or forks of one call (E2B's OpenAPI document).
inline constexpr int kMostClones = 100;

// POST .../snapshots {"name"?}: "" without one. An empty body is {}.
base::Result<std::string> parse_snapshot_name(std::string_view body);
// POST .../commit {"alias"?}
base::Result<std::string> parse_commit_alias(std::string_view body);
// POST .../clone {"count"?, "strict"?, "nodeID"?, "timeout"?}. There is one node: any will do.
base::Result<CloneRequest> parse_clone(std::string_view body);
// POST .../fork {"count"?, "timeout"?}; a fork lives 15 s when nothing is said.
base::Result<CloneRequest> parse_fork(std::string_view body);

struct ResetBody {
  bool resume = true;
  std::optional<std::chrono::seconds> timeout;
  std::optional<bool> secure;             // must say what the sandbox already is
  std::optional<NetworkOptions> network;  // not checked as a whole
};
// POST .../reset {"resume"?, "timeout"?, "secure"?, "allowPublicTraffic"? or "network"?}
base::Result<ResetBody> parse_reset(std::string_view body);

}  // namespace fakeapi::cloud
