// How the sandboxes reach the network and the disk around them. Used by the application.
#pragma once

#include "emulator/config/options.h"
#include "emulator/network_stack.h"
#include "emulator/sandboxes/local_sandbox_service.h"

namespace emulator {

// Both outlive the service.
sandboxes::LocalSandboxService::Hooks sandbox_hooks(NetworkStack& network,
                                                    const config::Options& options);

}  // namespace emulator
