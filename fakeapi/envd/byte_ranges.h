// The Range header (RFC 9110 14.2). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fakeapi::envd {

struct ByteRange {
  std::uint64_t start = 0;
  std::uint64_t length = 0;
  bool operator==(const ByteRange&) const = default;
};

// The ranges of "bytes=..." in a body of `size` bytes; unsatisfiable ones are left out. Empty list:
// none can be satisfied (416). nullopt: malformed (416 as well, as Go's server answers).
std::optional<std::vector<ByteRange>> parse_ranges(std::string_view header, std::uint64_t size);

// "bytes 0-99/1234"
std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace fakeapi::envd
