// Reads RFC 3339 times of query parameters. Pure. The other direction is base::format_rfc3339.
#pragma once

#include <optional>
#include <string_view>

#include "emulator/base/clock.h"

namespace fakeapi::cloud {

// "2026-09-21T10:00:00.123Z", "...+02:00", lower-case letters, fractions of any length (kept to
// nanoseconds). A blank instead of the offset's '+' is accepted: that is what an unescaped '+' in a
// query decodes to.
std::optional<base::TimePoint> parse_rfc3339(std::string_view text);

}  // namespace fakeapi::cloud
