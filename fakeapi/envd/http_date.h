// Dates in HTTP headers: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). Pure: no locale, no time
// zone files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fakeapi::envd {

std::string format_http_date(std::int64_t unix_seconds);
// Only the preferred format; nullopt for anything else.
std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace fakeapi::envd
