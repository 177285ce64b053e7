// A paused sandbox as it is written down: enough to make it run again, from its files, after the
// emulator has ended. A new field of SandboxInfo that must survive belongs here as well. Used by
// PausedStore and LocalSandboxService.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "emulator/base/result.h"
#include "emulator/sandboxes/bound_secrets.h"
#include "emulator/sandboxes/template_store.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace emulator::sandboxes {

struct PausedRecord {
  fakeapi::cloud::SandboxInfo info;
  std::chrono::seconds lifetime{};  // as it was created
  // Paused without memory because somebody said so: no traffic wakes it (contract-network 3.7).
  bool files_only = false;
  std::string traffic_token;  // once it has been private
  fakeapi::cloud::StringMap env_vars;
  BoundSecrets secrets;        // names and placeholders, no values
  Template made_of;            // limits and layers are its own
  std::string files;           // the name of its writable directory (namespaces/kept_files.h)
  int slot = 0;                // whose ids its files belong to
  std::uint32_t first_id = 0;  // the first of them
};

std::string encode(const PausedRecord& record);
// kInvalidArgument for a body that is none.
base::Result<PausedRecord> decode_paused(const std::string& body);

}  // namespace emulator::sandboxes
