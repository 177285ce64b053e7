#include "namespaces/instance_places.h"

#include <unistd.h>

#include "emulator/base/posix.h"
#include "namespaces/cgroup_tree.h"
#include "namespaces/instance.h"
#include "namespaces/kept_files.h"

namespace namespaces {

namespace fs = std::filesystem;
using base::Result;

Result<> make_places(const RuntimeOptions& options) {
  SANDLOT_CHECK(base::make_directories(options.run_dir / kScratch, 0700));
  // 0700: setuid programs of a sandbox lie there under ids that the machine may use for somebody.
  for (const char* name : {"sandboxes", "trash"}) {
    SANDLOT_CHECK(base::make_directories(options.data_dir / name, 0700));
  }
  fs::path mine = options.data_dir / "sandboxes" / options.instance;
  SANDLOT_CHECK(base::make_directories(mine, 0700));
  SANDLOT_TRY(auto record, record_of_this_process());
  return write_instance_record(mine, record);
}

void remove_places(const CgroupLayout& layout, const RuntimeOptions& options) {
  fs::path relative = instance_cgroup(options.instance);
  for (const auto& root : layout.used_roots()) remove_cgroup_tree(root / relative);
  remove_empty_top(layout);
  (void)remove_instance_files(options.data_dir, options.instance);
  ::rmdir((options.run_dir / kScratch).c_str());
}

}  // namespace namespaces
