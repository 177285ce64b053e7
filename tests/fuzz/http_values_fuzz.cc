// Header values of downloads: ranges, dates, encodings, content types.
#include "fakeapi/envd/byte_ranges.h"
#include "fakeapi/envd/content_encoding.h"
#include "fakeapi/envd/http_date.h"
#include "fakeapi/envd/media_type.h"
#include "tests/fuzz/target.h"

namespace envd = fakeapi::envd;
using tests::fuzz::require;

// Bytes 0-1: size of the file (a power of two, less 0..255); then the value.
FUZZ_TARGET(http_values) {
  tests::fuzz::Input in(input);
  std::uint64_t size = std::uint64_t{1} << (in.byte() % 64U);
  size -= std::min<std::uint64_t>(size, in.byte());
  std::string_view value = in.rest();

  if (auto ranges = envd::parse_ranges(value, size)) {
    for (const auto& range : *ranges) {
      require(range.length > 0 && range.start < size && range.length <= size - range.start,
              "a range lies inside the file");
      require(envd::content_range(range, size).starts_with("bytes "), "Content-Range has a unit");
    }
  }
  if (auto time = envd::parse_http_date(value)) {
    // The weekday is not looked at.
    require(envd::format_http_date(*time).substr(3) == value.substr(3),
            "a date that is accepted is written the same");
  }
  auto choice = envd::choose_encoding(value);
  require(!choice || choice->gzip || choice->identity_allowed, "some encoding is acceptable");
  (void)envd::media_type_by_name(value);
  require(!envd::sniff_media_type(value).empty(), "every file has a type");
}
