#include "emulator/base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
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

using Source = std::vector<std::uint8_t> (*)(std::size_t);

// One generator each, so that a token more does not change the next id.
struct Seeded {
  std::mt19937_64 ids;
  std::mt19937_64 tokens;
};
std::optional<Seeded> seeded;

std::vector<std::uint8_t> drawn(std::mt19937_64& generator, std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(generator() >> 56U);
  return bytes;
}
std::vector<std::uint8_t> id_bytes(std::size_t count) {
  return seeded ? drawn(seeded->ids, count) : random_bytes(count);
}
std::vector<std::uint8_t> token_bytes(std::size_t count) {
  return seeded ? drawn(seeded->tokens, count) : random_bytes(count);
}

std::string letters(std::size_t length, Source source) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id;
  while (id.size() < length) {
    for (std::uint8_t byte : source(length)) {
      // 252 = 7 * 36: reject the rest, so that every character is equally likely.
      if (byte < 252 && id.size() < length) id.push_back(kAlphabet[byte % kAlphabet.size()]);
    }
  }
  return id;
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 15U]);
  }
  return text;
}

}  // namespace

void seed_ids(std::uint64_t seed) {
  seeded.emplace(Seeded{std::mt19937_64(seed), std::mt19937_64(~seed)});
}

std::string make_sandbox_id() {
  return "i" + letters(20, id_bytes);
}

std::string make_access_token() {
  return hex(token_bytes(32));
}

std::string random_id(std::size_t length) {
  return letters(length, random_bytes);
}

std::string random_hex(std::size_t bytes) {
  return hex(random_bytes(bytes));
}

std::string make_uuid() {
  std::string text = random_hex(16);
  text[12] = '4';
  constexpr std::string_view kVariant = "89ab";
  text[16] = kVariant[static_cast<std::size_t>(text[16]) % kVariant.size()];
  for (std::size_t at : std::array<std::size_t, 4>{8, 13, 18, 23}) text.insert(at, "-");
  return text;
}

bool is_sandbox_id(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

}  // namespace base
