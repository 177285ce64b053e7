// Bodies of the volume routes, both ways; JSON stays in volume_bodies_json.cc. Used by the volume
// handlers. Errors as in bodies.h.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/volume_mounts.h"
#include "fakeapi/cloud/volume_service.h"

namespace fakeapi::cloud {

// POST /volumes {"name", "quotaSizeGiB"?, "quotaInodes"?}. Without a number of inodes there are a
// thousand to the GiB, as Novita's SDK asks for.
base::Result<NewVolume> parse_new_volume(std::string_view body);
// PATCH /volumes/{id} {"quotaSizeGiB"?, "quotaInodes"?}; nullopt: nothing to change.
base::Result<std::optional<VolumeQuota>> parse_volume_quota(std::string_view body);
// POST /sandboxes/{id}/volume-mounts {"name", "path"}.
base::Result<VolumeMount> parse_volume_mount(std::string_view body);
// PATCH /volumecontent/{id}/path {"uid"?, "gid"?, "mode"?}.
base::Result<EntryAttributes> parse_entry_attributes(std::string_view body);

std::string volume_json(const VolumeInfo& volume);  // with its token
std::string volume_list_json(std::span<const VolumeInfo> volumes);
std::string volume_entry_json(const VolumeEntry& entry);
std::string volume_entries_json(std::span<const VolumeEntry> entries);
// {"code": "404", "message"}: the content API's code is a text (contract-novita 7.4).
std::string content_error_json(int status, std::string_view message);

}  // namespace fakeapi::cloud
