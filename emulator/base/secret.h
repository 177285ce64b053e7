// Comparing what a client gave with a secret. Used for keys and tokens.
#pragma once

#include <cstddef>
#include <string_view>

namespace base {

// Takes the same time wherever the first difference is; the length is no secret.
inline bool same_secret(std::string_view given, std::string_view secret) {
  if (given.size() != secret.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^
                                        static_cast<unsigned char>(secret[i]));
  }
  return difference == 0;
}

}  // namespace base
