// Response bodies of the snapshot routes as JSON text (responses.h has the rules); JSON stays in
// snapshot_responses_json.cc.
#pragma once

#include <span>
#include <string>

#include "fakeapi/cloud/snapshot_service.h"

namespace fakeapi::cloud {

// What a client gives to create: "name:tag", or "<id>:default" without a name.
std::string snapshot_reference(const SnapshotInfo& info);

// {"snapshotID", "names"}, and an array of them.
std::string snapshot_json(const SnapshotInfo& info);
std::string snapshot_list_json(std::span<const SnapshotInfo> snapshots);
// `Template`, Novita's shape.
std::string snapshot_template_json(const SnapshotInfo& info);
// {"sandboxes": [...], "snapshotTemplateId"}: those that started.
std::string clone_json(const Cloned& cloned);
// [{"sandbox"} or {"error"}]
std::string fork_json(const Cloned& cloned, const std::string& domain);
// {"trafficAccessToken"?}
std::string reset_json(const SandboxInfo& sandbox);

}  // namespace fakeapi::cloud
