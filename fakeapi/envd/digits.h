// A number out of fixed-width text, as the two date formats have them: digits alone, no sign. Pure.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace fakeapi::envd {

inline std::optional<int> parse_digits(std::string_view text) {
  int value = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace fakeapi::envd
