#include "fakeapi/envd/base64.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace fakeapi::envd {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using Pair = std::array<char, 2>;

constexpr std::array<Pair, 4096> make_pairs() {
  std::array<Pair, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i)
    pairs[i] = {kAlphabet[i >> 6U], kAlphabet[i & 63U]};
  return pairs;
}

constexpr std::array<Pair, 4096> kPairs = make_pairs();

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  values['-'] = 62;
  values['_'] = 63;
  return values;
}

constexpr std::array<std::int8_t, 256> kValues = make_values();

}  // namespace

void base64_append(std::string& out, std::string_view bytes) {
  std::size_t start = out.size();
  out.resize(start + base64_size(bytes.size()));
  char* to = out.data() + start;
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t whole = bytes.size() / 3;
  for (std::size_t i = 0; i < whole; ++i, from += 3, to += 4) {
    std::uint32_t bits = (std::uint32_t{from[0]} << 16U) | (std::uint32_t{from[1]} << 8U) | from[2];
    std::memcpy(to, kPairs[bits >> 12U].data(), 2);
    std::memcpy(to + 2, kPairs[bits & 4095U].data(), 2);
  }
  std::size_t rest = bytes.size() - whole * 3;
  if (rest == 0) return;
  std::uint32_t bits = std::uint32_t{from[0]} << 16U;
  if (rest == 2) bits |= std::uint32_t{from[1]} << 8U;
  std::memcpy(to, kPairs[bits >> 12U].data(), 2);
  to[2] = rest == 2 ? kAlphabet[(bits >> 6U) & 63U] : '=';
  to[3] = '=';
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  base64_append(out, bytes);
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (char c : text) {
    int value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(static_cast<unsigned char>((bits >> have) & 0xFFU)));
    }
  }
  return out;
}

}  // namespace fakeapi::envd
