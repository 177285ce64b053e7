// The port between the REST control plane and the machine: what the routes ask for, as plain
// values. Implemented by emulator/sandboxes; faked in tests. Sources: contract-novita 2.1 and 3,
// contract-envd 8.1.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "fakeapi/cloud/network_options.h"
#include "fakeapi/cloud/volume_mounts.h"

namespace fakeapi::cloud {

using StringMap = std::map<std::string, std::string>;

enum class SandboxState { kRunning, kPaused };

// A validated create request. Options that are not built yet never get here: the route answers 501.
struct NewSandbox {
  std::string template_id;  // id or alias, as sent
  std::optional<StringMap> metadata;
  StringMap env_vars;
  std::chrono::seconds timeout{300};
  bool secure = true;
  std::optional<bool> allow_internet_access;  // false: nothing out but what allowOut opens
  std::optional<NetworkOptions> network;
  bool auto_pause = false;        // pause instead of kill when the time is up
  bool auto_pause_memory = true;  // false: such a pause keeps the files only
  bool auto_resume = false;  // any request to a paused one makes it go on (only with auto_pause)
  std::vector<VolumeMount> volume_mounts;  // not checked yet: create does
  StringMap secrets;  // by environment variable, the name; whether there is such one, create says
};

struct SandboxInfo {
  std::string sandbox_id;
  std::string template_id;
  std::string alias;  // "" = none
  std::optional<StringMap> metadata;
  SandboxState state = SandboxState::kRunning;
  base::TimePoint started_at;
  base::TimePoint end_at;
  int cpu_count = 0;
  int memory_mb = 0;
  int disk_size_mb = 0;
  std::string envd_version;
  std::string envd_access_token;              // "" = not secured
  std::string traffic_access_token;           // "" = the public URLs are open
  std::optional<bool> allow_internet_access;  // as sent
  std::optional<NetworkOptions> network;      // as sent
  bool auto_pause = false;
  bool auto_pause_memory = true;
  bool auto_resume = false;
  std::vector<VolumeMount> volume_mounts;
};

struct Connected {
  SandboxInfo info;
  bool resumed = false;  // it was paused: 201 instead of 200
};

// What a running sandbox used at one moment. Sizes in bytes.
struct MetricSample {
  base::TimePoint time;
  int cpu_count = 0;
  double cpu_used_percent = 0;  // of all its processors, since the sample before
  std::uint64_t memory_used = 0;
  std::uint64_t memory_total = 0;
  std::uint64_t memory_cache = 0;
  std::uint64_t disk_used = 0;
  std::uint64_t disk_total = 0;
};

struct TemplateSummary {
  std::string template_id;
  std::string build_id;
  std::vector<std::string> names;
  bool is_snapshot = false;
  int cpu_count = 0;
  int memory_mb = 0;
  int disk_size_mb = 0;
  base::TimePoint created_at;
  std::string envd_version =
      "0.6.13";  // semver; what the SDKs switch features by (contract-envd 0.2)
};

class SnapshotService;

class SandboxService {
 public:
  virtual ~SandboxService() = default;

  // How many may run at once; nullopt: as many as the machine bears. One more is
  // kResourceExhausted, at create and when a paused one is to go on.
  virtual std::optional<std::size_t> max_running() const = 0;
  // kNotFound "template '<id>' not found"; kUnavailable when the template's root file system is
  // missing; kInvalidArgument for an unknown volume or secret.
  virtual base::Task<SandboxInfo> create(NewSandbox request) = 0;
  // Every sandbox, in no order.
  virtual std::vector<SandboxInfo> list() const = 0;
  // kNotFound for unknown and killed ones, here and below.
  virtual base::Result<SandboxInfo> get(std::string_view id) const = 0;
  virtual base::Task<> kill(std::string id) = 0;
  // The end becomes now + timeout, sooner or later than before. 0 kills at once (or pauses, with
  // auto_pause). kNotFound for a paused one: it has no end until it goes on.
  virtual base::Task<> set_timeout(std::string id, std::chrono::seconds timeout) = 0;
  // Running: the end becomes the later of the old one and now + timeout. Paused: resumes with that
  // timeout. First of all, what `network` says replaces what the sandbox has (merged()); errors as
  // of set_network. After any error a paused sandbox stays paused, with the network that it had.
  virtual base::Task<Connected> connect(std::string id,
                                        std::chrono::seconds timeout,
                                        std::optional<NetworkOptions> network) = 0;
  // kConflict when it is already running.
  virtual base::Task<SandboxInfo> resume(std::string id,
                                         std::chrono::seconds timeout,
                                         std::optional<bool> auto_pause,
                                         std::optional<NetworkOptions> network) = 0;
  // kConflict when it is already paused; kNoSpace when that cannot be written down: it runs on.
  // Without memory its processes end, and only connect and resume wake it (contract-envd 5.10).
  virtual base::Task<> pause(std::string id, bool keep_memory) = 0;
  // A paused one forgets its processes: it will start anew from its files. Nothing to do for a
  // running one.
  virtual base::Task<> drop_memory(std::string id) = 0;
  // Replaces the egress lists and the internet switch of a running sandbox, whole: what is absent
  // is cleared. Who may come in is left alone. kConflict when it is not running. After any other
  // error nothing leaves the sandbox until a later call succeeds.
  virtual base::Task<> set_network(std::string id,
                                   NetworkOptions network,
                                   std::optional<bool> allow_internet_access) = 0;
  // The memory that a running sandbox has beside what it was made with; 0 takes all of it away.
  // kConflict when it is paused, or uses more than would be left.
  virtual base::Task<> set_extra_memory(std::string id, int mib) = 0;
  // Of a running sandbox; kConflict when it is not. kInvalidArgument: no such volume, bad path,
  // nothing mounted there; kConflict: the path has one already, or it is in use (without `force`).
  virtual base::Task<SandboxInfo> mount_volume(std::string id, VolumeMount mount) = 0;
  virtual base::Task<SandboxInfo> unmount_volume(std::string id, std::string path, bool force) = 0;
  // Oldest first; as many as are kept. Empty for a fresh sandbox.
  virtual base::Result<std::vector<MetricSample>> metrics(std::string_view id) const = 0;
  virtual std::vector<TemplateSummary> templates() const = 0;
  // snapshot_service.h; nullptr: there are none.
  virtual SnapshotService* snapshot_service() { return nullptr; }
};

}  // namespace fakeapi::cloud
