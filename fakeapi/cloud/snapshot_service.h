// The second port of the control plane: what the routes of snapshots, clones, forks and resets ask
// for. Implemented by emulator/sandboxes; faked in tests. Sources: contract-novita 2.1 and 7.3.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

struct SnapshotInfo {
  // As of any template: `template_id` is the snapshot's, `names` have their tags ("snap:default").
  TemplateSummary as_template;
  std::string source;   // the sandbox
  bool memory = false;  // processes and memory are in it, not only the files
};

struct CloneRequest {
  int count = 1;
  bool strict = false;  // all of them or none
  // E2B's: kConflict for a paused one, and each result stands for itself.
  bool fork = false;
  std::optional<std::chrono::seconds> timeout;  // absent: what a running source has left, or 300 s
};

struct Cloned {
  std::vector<base::Result<SandboxInfo>> sandboxes;  // `count` of them
  // Sandboxes can be made of it as long as a clone lives.
  std::string snapshot_id;
  bool memory = false;
};

struct ResetRequest {
  bool resume = true;  // run afterwards; else be paused
  std::optional<std::chrono::seconds> timeout;
  std::optional<NetworkOptions> network;  // as of connect: what it names
};

class SnapshotService {
 public:
  virtual ~SnapshotService() = default;

  // Running ones stop for the time of the copying and go on; paused ones stay paused. `name` may be
  // empty. kNotFound for the sandbox; kInvalidArgument and kConflict for the name; kNoSpace;
  // kFailedPrecondition when it cannot be a layer any more. After an error nothing has changed.
  virtual base::Task<SnapshotInfo> take_snapshot(std::string sandbox_id, std::string name) = 0;
  // All of them, in no order.
  virtual base::Task<std::vector<SnapshotInfo>> snapshots() = 0;
  // By id or name. kNotFound; kFailedPrecondition for one that sandboxes are made of.
  virtual base::Task<> delete_snapshot(std::string reference) = 0;
  // kNotFound; kResourceExhausted and kNoSpace when there is no room for one, or, when strict, for
  // all. The source keeps its state.
  virtual base::Task<Cloned> clone(std::string sandbox_id, CloneRequest request) = 0;
  // Back to the files of its template, with its id, environment and tokens; what ran is gone.
  // kConflict while it changes its state.
  virtual base::Task<SandboxInfo> reset(std::string sandbox_id, ResetRequest request) = 0;
};

}  // namespace fakeapi::cloud
