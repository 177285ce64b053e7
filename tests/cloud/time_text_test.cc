#include "fakeapi/cloud/time_text.h"

#include <gtest/gtest.h>

namespace tests {
namespace {

using fakeapi::cloud::parse_rfc3339;

TEST(TimeText, ReadsWhatTheSdksWrite) {
  for (const char* text : {"2026-09-21T10:00:00.123Z", "2026-09-21t10:00:00.123z",
                           "2026-09-21T10:00:00.123000Z", "2026-09-21T12:00:00.123+02:00",
                           "2026-09-21T12:00:00.123 02:00", "2026-09-21T04:30:00.123-05:30"}) {
    auto time = parse_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(base::format_rfc3339(*time), "2026-09-21T10:00:00.123Z") << text;
  }
  EXPECT_EQ(base::format_rfc3339(parse_rfc3339("1970-01-01T00:00:00Z").value()),
            "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(base::format_rfc3339(parse_rfc3339("2028-02-29T23:59:60Z").value()),
            "2028-03-01T00:00:00.000Z");
}

TEST(TimeText, RefusesEverythingElse) {
  for (const char* text :
       {"", "now", "2026-09-21", "2026-09-21T10:00:00", "2026-02-30T10:00:00Z",
        "2026-13-01T00:00:00Z", "2026-09-21T24:00:00Z", "2026-09-21T10:60:00Z",
        "2026-09-21T10:00:61Z", "2026-09-21T10:00:00.Z", "2026-09-21T10:00:00Zx",
        "2026-09-21T10:00:00+2:00", "2026-09-21T10:00:00+24:00", "9999-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z", "2026-9-21T10:00:00Z", "1789984800"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace tests
