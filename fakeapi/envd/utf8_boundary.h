// Where command output may be cut: one SDK decodes every event by itself, so an event ends on a
// character boundary when the rest of the character is about to arrive (contract-novita 4.2). Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace fakeapi::envd {

// How many bytes at the end of `bytes` begin a UTF-8 character that is not complete yet: 0..3.
// Bytes that cannot become one (not UTF-8 at all) count as 0.
std::size_t incomplete_tail(std::string_view bytes);

}  // namespace fakeapi::envd
