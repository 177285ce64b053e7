#include "emulator/sandbox_hooks.h"

#include "fakeapi/envd/resource_usage.h"

namespace emulator {

sandboxes::LocalSandboxService::Hooks sandbox_hooks(NetworkStack& network,
                                                    const config::Options& options) {
  sandboxes::LocalSandboxService::Hooks hooks;
  hooks.cut_egress = [&network](const std::string& id) { network.egress().cut_all(id); };
  hooks.apply_policy = [&network](auto netns, auto policy) {
    return network.apply_policy(std::move(netns), std::move(policy));
  };
  hooks.close_slot = [&network](auto netns) { return network.close_slot(std::move(netns)); };
  hooks.open_for_datagrams = [&network] { return network.open_for_datagrams(); };
  hooks.policy_changed = [&network](const std::string& id) { network.egress().policy_changed(id); };
  hooks.disk = [&options](std::uint64_t size) {
    auto disk = fakeapi::envd::read_disk_usage(size, options.data_dir.c_str());
    return sandboxes::DiskFigures{disk.used, disk.total};
  };
  return hooks;
}

}  // namespace emulator
