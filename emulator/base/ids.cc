#include "emulator/base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace base {

namespace {

std::vector<std::uint8_t> random_bytes(std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  std::size_t have = 0;
  while (have < count) {
    auto got = ::getrandom(bytes.data() + have, count - have, 0);
    if (got <= 0) std::abort();  // no entropy source: nothing here would be safe
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

std::string random_id(std::size_t length) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id;
  while (id.size() < length) {
    for (std::uint8_t byte : random_bytes(length)) {
      // 252 = 7 * 36: reject the rest, so that every character is equally likely.
      if (byte < 252 && id.size() < length) id.push_back(kAlphabet[byte % kAlphabet.size()]);
    }
  }
  return id;
}

std::string make_sandbox_id() {
  return "i" + random_id(20);
}

std::string random_hex(std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : random_bytes(bytes)) {
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 15U]);
  }
  return text;
}

std::string make_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  constexpr std::string_view kVariant = "89ab";
  hex[16] = kVariant[static_cast<std::size_t>(hex[16]) % kVariant.size()];
  for (std::size_t at : std::array<std::size_t, 4>{8, 13, 18, 23}) hex.insert(at, "-");
  return hex;
}

bool is_sandbox_id(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

}  // namespace base
