// How a row of the database says a secret. Used by SecretStore. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "emulator/secrets/secret_store.h"

namespace emulator::secrets {

// The columns `body` and `updated_at`.
std::string body_column(const Secret& secret);
std::int64_t milliseconds(base::TimePoint time);
// kInternal when it is no such row; the message names the secret alone.
base::Result<Secret> secret_of(const std::string& name,
                               const std::string& body,
                               std::int64_t updated_at_ms);

}  // namespace emulator::secrets
