// Who owns what: the record that a running instance leaves in its directories, and whether that
// instance still lives. Written by the runtime and by the application at start, read by gc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "emulator/base/result.h"

namespace namespaces {

// The file's name, in each directory of an instance.
inline constexpr const char* kInstanceRecord = "instance";

struct InstanceRecord {
  pid_t pid = -1;
  std::uint64_t start_time = 0;  // clock ticks since boot, field 22 of /proc/<pid>/stat
  std::string boot_id;
};

// This process, now.
base::Result<InstanceRecord> record_of_this_process();

// `<directory>/instance`: three lines.
base::Result<> write_instance_record(const std::filesystem::path& directory,
                                     const InstanceRecord& record);
base::Result<InstanceRecord> read_instance_record(const std::filesystem::path& directory);

// False only when all three say so: another boot, or no such process, or a process with another
// start time.
bool is_alive(const InstanceRecord& record);

// Makes `<run_root>/<instance>` (mode 0700) with the record of this process. kAlreadyExists when a
// live instance other than this process has the name.
base::Result<InstanceRecord> claim_instance(const std::filesystem::path& run_root,
                                            const std::string& instance);

}  // namespace namespaces
