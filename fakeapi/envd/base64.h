// Base64 (RFC 4648), standard alphabet. encode is on the hot path of command output: a 12-bit
// table, two characters a step. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fakeapi::envd {

constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

// Appends the padded encoding.
void base64_append(std::string& out, std::string_view bytes);
std::string base64_encode(std::string_view bytes);

// Accepts both alphabets and missing padding; nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace fakeapi::envd
