// SHA-256 (FIPS 180-4). Our own because the agent cannot initialise a crypto library: nothing may
// be loaded from the sandbox's root, and its configuration files are the tenant's. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fakeapi::envd {

std::array<std::uint8_t, 32> sha256(std::string_view bytes);

}  // namespace fakeapi::envd
