// Whether this machine's own resolver knows names under the emulator's domain
// (contract-network 5.7: glibc with `hosts: files dns` does not know *.localhost). Used by `env`
// and `doctor`.
#pragma once

#include <chrono>
#include <string>

namespace emulator::cli {

// Looks up a made-up name under `domain` the way clients do (getaddrinfo), in a child process so
// that a resolver that does not answer costs no more than `limit`. Blocking; call while no thread
// exists.
bool names_resolve(const std::string& domain, std::chrono::seconds limit = std::chrono::seconds(2));

}  // namespace emulator::cli
