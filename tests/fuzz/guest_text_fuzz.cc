// What programs in a sandbox write and the agent reads: passwd and group files, output that becomes
// JSON.
#include <nlohmann/json.hpp>

#include "fakeapi/envd/user_database.h"
#include "fakeapi/envd/utf8_boundary.h"
#include "fakeapi/http/json_text.h"
#include "tests/fuzz/target.h"

using tests::fuzz::require;

FUZZ_TARGET(guest_text) {
  for (const auto& user : fakeapi::envd::parse_passwd(input)) {
    require(!user.name.empty() && user.name.find_first_of(":\n") == std::string::npos,
            "a user has a name");
  }
  for (const auto& group : fakeapi::envd::parse_group(input)) {
    require(!group.name.empty(), "a group has a name");
    for (const auto& member : group.members) require(!member.empty(), "a member has a name");
  }
  std::size_t tail = fakeapi::envd::incomplete_tail(input);
  require(tail <= 3 && tail <= input.size(), "a character is at most four bytes");

  std::string clean = fakeapi::http::valid_utf8(input);
  require(fakeapi::http::valid_utf8(clean) == clean, "mended text is whole");
  std::string text;
  fakeapi::http::append_json_string(text, input);
  auto parsed = nlohmann::json::parse(text, nullptr, false);
  require(parsed.is_string() && parsed.get<std::string>() == clean, "our JSON strings are JSON");
}
