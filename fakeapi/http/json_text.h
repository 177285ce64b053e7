// JSON strings written by hand, for the few places where a whole codec would be in the way: error
// bodies, the end of a stream. Pure. Does not parse.
#pragma once

#include <string>
#include <string_view>

namespace fakeapi::http {

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// `text` with every byte that is not part of a valid UTF-8 character replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

// Length of the valid UTF-8 character at the start of `text`, or 0 (RFC 3629: no surrogates,
// nothing overlong).
std::size_t utf8_character(std::string_view text);

}  // namespace fakeapi::http
