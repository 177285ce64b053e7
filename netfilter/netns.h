// What switch, slot and tests share beyond network.h: threads that change their namespace and end.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace netfilter {

// Runs `work` on a throw-away thread and waits for it. The work may unshare or enter whatever it
// wants.
base::Result<> run_on_thread(const std::function<base::Result<>()>& work);

// Writes /proc/sys/net/<name> of the calling thread's network namespace. Names below "ipv6/" that
// do not exist are no error: the kernel may have been booted without IPv6.
base::Result<> set_net_sysctl(const std::string& name, std::string_view value);

}  // namespace netfilter
