#include "namespaces/instance.h"

#include <unistd.h>

#include <sstream>

#include "emulator/base/posix.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;

Result<std::string> current_boot() {
  SANDLOT_TRY(auto text, base::read_file("/proc/sys/kernel/random/boot_id"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<std::uint64_t> start_time_of(pid_t pid) {
  SANDLOT_TRY(auto text, base::read_file("/proc/" + std::to_string(pid) + "/stat"));
  auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return base::fail(Errc::kInternal, "stat: no name");
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string field;
  for (int number = 3; number < 22; ++number) fields >> field;
  std::uint64_t start = 0;
  if (!(fields >> start)) return base::fail(Errc::kInternal, "stat: no start time");
  return start;
}

}  // namespace

Result<InstanceRecord> record_of_this_process() {
  InstanceRecord record;
  record.pid = ::getpid();
  SANDLOT_TRY(record.start_time, start_time_of(record.pid));
  SANDLOT_TRY(record.boot_id, current_boot());
  return record;
}

Result<> write_instance_record(const fs::path& directory, const InstanceRecord& record) {
  std::string text = std::to_string(record.pid) + "\n" + std::to_string(record.start_time) + "\n" +
                     record.boot_id + "\n";
  // In one step: a reader never sees half a record.
  fs::path temporary = directory / (std::string(kInstanceRecord) + ".new");
  SANDLOT_CHECK(base::write_file(temporary, text, 0600));
  if (::rename(temporary.c_str(), (directory / kInstanceRecord).c_str()) != 0) {
    return base::fail_errno("write instance record");
  }
  return {};
}

Result<InstanceRecord> read_instance_record(const fs::path& directory) {
  SANDLOT_TRY(auto text, base::read_file(directory / kInstanceRecord, 4096));
  std::istringstream lines(text);
  InstanceRecord record;
  if (!(lines >> record.pid >> record.start_time >> record.boot_id) || record.pid <= 0) {
    return base::fail(Errc::kInvalidArgument, "not an instance record: " + directory.string());
  }
  return record;
}

bool is_alive(const InstanceRecord& record) {
  auto boot = current_boot();
  if (boot && *boot != record.boot_id) return false;
  auto start = start_time_of(record.pid);
  if (!start) return start.error().code() != Errc::kNotFound && start.error().os_errno() != ESRCH;
  return *start == record.start_time;
}

Result<InstanceRecord> claim_instance(const fs::path& run_root, const std::string& instance) {
  SANDLOT_TRY(auto mine, record_of_this_process());
  fs::path directory = run_root / instance;
  SANDLOT_CHECK(base::make_directories(directory, 0700));
  auto other = read_instance_record(directory);
  if (other && other->pid != mine.pid && is_alive(*other)) {
    return base::fail(Errc::kAlreadyExists, "instance " + instance + " is running (pid " +
                                                std::to_string(other->pid) + ")");
  }
  SANDLOT_CHECK(write_instance_record(directory, mine));
  return mine;
}

}  // namespace namespaces
