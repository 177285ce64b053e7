// Identifiers and secrets: how they are made and what a valid one looks like (contract-novita 2.0).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace base {

// "i" and 20 characters of [a-z0-9]: no dash, so that "<port>-<id>" splits at the first one.
std::string make_sandbox_id();
// `length` characters of [a-z0-9], from the kernel's random source.
std::string random_id(std::size_t length);
// `bytes` random bytes in lower-case hex; for access tokens.
std::string random_hex(std::size_t bytes);
// A random UUID (version 4).
std::string make_uuid();
// ^[a-z0-9]+$, as the cloud's proxy checks it.
bool is_sandbox_id(std::string_view text);

}  // namespace base
