// Identifiers and secrets: how they are made and what a valid one looks like (contract-novita 2.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace base {

// "i" and 20 characters of [a-z0-9]: no dash, so that "<port>-<id>" splits at the first one.
std::string make_sandbox_id();
// 64 characters of hex that open one sandbox's daemon, or its public URLs.
std::string make_access_token();
// From now on sandbox ids and access tokens are the same in every process that was given the same
// number: n-th call, n-th value. For tests of clients; whoever knows the number knows the tokens.
void seed_ids(std::uint64_t seed);
// `length` characters of [a-z0-9], from the kernel's random source.
std::string random_id(std::size_t length);
// `bytes` random bytes in lower-case hex.
std::string random_hex(std::size_t bytes);
// A random UUID (version 4).
std::string make_uuid();
// ^[a-z0-9]+$, as the cloud's proxy checks it.
bool is_sandbox_id(std::string_view text);

}  // namespace base
