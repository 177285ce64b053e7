#include "namespaces/kept_files.h"

#include <unistd.h>

#include <vector>

#include "emulator/base/posix.h"
#include "namespaces/instance.h"

namespace namespaces {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;

bool is_live_instance(const fs::path& data_dir, const std::string& instance) {
  auto record = read_instance_record(data_dir / "sandboxes" / instance);
  return record && is_alive(*record);
}

Result<> adopt_files(const fs::path& data_dir, const std::string& instance, const std::string& id) {
  fs::path target = data_dir / "sandboxes" / instance / id;
  std::error_code error;
  if (fs::is_directory(target, error)) return {};
  std::vector<fs::path> others;
  for (fs::directory_iterator it(data_dir / "sandboxes", error), end; !error && it != end;
       it.increment(error)) {
    others.push_back(it->path());
  }
  for (const fs::path& other : others) {
    if (::rename((other / id).c_str(), target.c_str()) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
      return base::fail_errno("move the files of sandbox " + id);
    }
    std::string name = other.filename();
    if (!is_live_instance(data_dir, name)) (void)remove_instance_files(data_dir, name);
    return {};
  }
  return base::fail(Errc::kNotFound, "the files of sandbox " + id + " are gone");
}

Result<> remove_instance_files(const fs::path& data_dir, const std::string& instance) {
  fs::path directory = data_dir / "sandboxes" / instance;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() != kInstanceRecord) {
      return base::fail(Errc::kFailedPrecondition, "there are files in " + directory.string());
    }
  }
  ::unlink((directory / kInstanceRecord).c_str());
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return base::fail_errno("remove");
  return {};
}

}  // namespace namespaces
