// What switch, slot and tests share beyond network.h: threads that change their namespace and end.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace netfilter {

// Runs `work` on a throw-away thread and waits for it. The work may unshare or enter whatever it
// wants.
base::Result<> run_on_thread(const std::function<base::Result<>()>& work);

// Mounts the calling thread's network namespace at `path`, so that other programs can enter it and
// `gc` finds it; whatever a crashed instance left there is unmounted first.
base::Result<> pin_namespace(const std::filesystem::path& path);
// Undoes it. Does nothing when there is nothing.
void unpin_namespace(const std::filesystem::path& path);

// Writes the network sysctls of the calling thread's namespace, through a procfs of its own that is
// mounted nowhere: in the machine's, the directories of all network namespaces share one chain of
// the directory cache, and a look-up with 1000 slots costs 0.2 ms.
class NetSysctls {
 public:
  static base::Result<NetSysctls> open();
  // `name` is relative to /proc/sys/net. Names below "ipv6/" that do not exist are no error: the
  // kernel may have been booted without IPv6.
  base::Result<> set(const std::string& name, std::string_view value) const;
  // Without the line's end.
  base::Result<std::string> get(const std::string& name) const;
  // The entries of a directory below /proc/sys/net: the links of "ipv4/conf", say.
  base::Result<std::vector<std::string>> list(const std::string& directory) const;

 private:
  explicit NetSysctls(base::UniqueFd proc) : proc_(std::move(proc)) {}
  base::UniqueFd proc_;
};

}  // namespace netfilter
