// The narrow door to containers: a spec goes in, a running Container (its agent listening) comes
// out. Used by emulator/sandboxes. Knows no protocol and no network policy; the network namespace
// comes in as a descriptor.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "emulator/base/async.h"
#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace namespaces {

// The ids outside that the sandbox's 0..count-1 map to (2^28 + slot * 65536, architecture.md
// section 1).
struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t count = 65536;
};

// What a sandbox sees as its root. Directories on the host; overlay order, uppermost layer first.
struct RootfsSpec {
  std::vector<std::filesystem::path> root_layers;
  // Not empty: a second overlay, mounted at /usr (the host-derived base template).
  std::vector<std::filesystem::path> usr_layers;
  // Ignored: the runtime makes and removes <data_dir>/sandboxes/<instance>/<id> itself, so that the
  // owner of every directory is known (gc.h).
  std::filesystem::path writable;
};

struct Limits {
  int cpu_count = 2;
  int memory_mb = 512;
  int pids = 4096;
};

struct ContainerSpec {
  std::string id;  // [a-z0-9_-]{1,64}; names the cgroup and the writable directory
  IdRange ids;
  int netns_fd = -1;  // the slot's network namespace; borrowed until create() has returned
  RootfsSpec rootfs;
  Limits limits;
  std::string hostname;
  // With the files that an earlier container of this id left (Container::end, kept_files.h), which
  // belong to the ids that it had. They stay when create() fails.
  bool existing_files = false;
};

struct Usage {
  std::uint64_t cpu_usec = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_cache_bytes = 0;
  std::uint64_t oom_kills = 0;
};

// What a capture took. Regular files' bytes: copied, or shared with the sandbox's own files
// (reflinks) or with an earlier capture.
struct CaptureReport {
  std::uint64_t files = 0;
  std::uint64_t copied_bytes = 0;
  std::uint64_t shared_bytes = 0;
};

// Where a capture goes below the directory that it is given: layers for RootfsSpec.
inline constexpr const char* kCapturedRoot = "root";
inline constexpr const char* kCapturedUsr = "usr";  // with a second overlay only

// A running sandbox: its cgroups, its pid 1, its writable directory. The destructor kills
// everything in it at once and hands the slow part (rmdir, deleting files) to the runtime's
// background pool.
class Container {
 public:
  virtual ~Container() = default;
  virtual const std::string& id() const = 0;
  virtual pid_t pid() const = 0;            // of the agent, in our pid namespace
  virtual int pidfd() const { return -1; }  // of the same process; lives as long as this object
  // The SOCK_SEQPACKET control channel to the agent; the agent has already reported that it
  // listens.
  virtual int control_fd() const = 0;
  // Freezes or thaws the whole cgroup; idempotent; waits until the kernel reports the state (at
  // most 1 s).
  virtual base::Task<> freeze() = 0;
  virtual base::Task<> thaw() = 0;
  // While it is frozen: what memory the kernel can take goes back to the machine, in the background
  // and a moment later (memory_reclaim.h). The next thaw() or kill() ends that.
  virtual void give_memory_back() = 0;
  // SIGKILL to everything inside, frozen or not. Returns when pid 1 is gone.
  virtual base::Task<> kill() = 0;
  // kill(), but the files stay, for another container of this id. Returns when the cgroups are gone
  // too; after an error the files stay all the same.
  virtual base::Task<> end() = 0;
  // Completes when pid 1 has ended, for whatever reason.
  virtual base::Task<> exited() = 0;
  virtual base::Result<Usage> usage() const = 0;
  // The memory limit from now on. kConflict when more is in use and cannot be reclaimed: then
  // nothing changes.
  virtual base::Result<> set_memory(int megabytes) = 0;
  // Kills, without a warning, whom the kernel would if the memory ran out now (oom_victim.h); not
  // pid 1. kFailedPrecondition when there is nobody else.
  virtual base::Task<> kill_largest() = 0;
  // Whether changes to its files fail with ENOSPC (full_disk.h). Idempotent, frozen or not; one
  // call at a time.
  virtual base::Task<> set_disk_full(bool full) = 0;
  // Copies what the sandbox has written to `directory` (existing and empty), as layers that go on
  // top of its own (layer_capture.h). Only while it is frozen. Files, no memory; nothing is synced.
  virtual base::Task<CaptureReport> capture(std::filesystem::path directory) = 0;
};

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;
  // Makes cgroups, mounts and namespaces and waits for the agent's "ready". Leaves nothing behind
  // on failure; the error names the step and the errno that the child reported.
  virtual base::Task<std::unique_ptr<Container>> create(ContainerSpec spec) = 0;
  // Deletes what end() left, in the background. Fine when there is nothing.
  virtual void discard_files(const std::string& id) = 0;
  // The same, done when it returns: no crash brings them back.
  virtual base::Task<> remove_files(std::string id) = 0;
  // Container::capture of what end() left, and of whose ids that is.
  virtual base::Task<CaptureReport> capture_files(std::string id,
                                                  IdRange ids,
                                                  std::filesystem::path directory) = 0;
  // Completes when every background removal has ended; call before the executor stops.
  virtual boost::asio::awaitable<void> drain() = 0;
};

struct RuntimeOptions {
  std::string instance;            // [a-z0-9]{6}: names cgroups and directories
  std::filesystem::path run_dir;   // /run/sandlot/<instance>
  std::filesystem::path data_dir;  // holds sandboxes/ and trash/
};

// Starts the spawner process and returns a runtime that uses it. Call once, before any other thread
// exists. The spawner ends when the returned object (or this process) dies, and every sandbox with
// it.
base::Result<std::unique_ptr<ContainerRuntime>> start_linux_runtime(
    boost::asio::any_io_executor executor, RuntimeOptions options);

// What the child of the spawner becomes once it is inside: never returns to the caller's stack
// frames of the spawner; its return value is the exit status of the sandbox's pid 1.
// `oom_score_fd` is its own /proc/self/oom_score_adj, open for reading and writing (-1 = could not
// be opened): it is not dumpable, so it cannot open the file itself.
using AgentEntry = int (*)(int control_fd, int oom_score_fd);

// The role of the re-executed binary: `argv[1] == kSpawnerRole`. Runs until its socket (fd 3)
// closes.
inline constexpr const char* kSpawnerRole = "@spawner";
int spawner_main(AgentEntry agent);

}  // namespace namespaces
