// What a journal may show of a request: everything but secrets. Pure. Used by the journal alone.
// What cannot be read as JSON is not shown at all, because nobody can tell what is in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace emulator::journal {

inline constexpr std::string_view kRedacted = "***";
// Longer bodies are named by their size.
inline constexpr std::size_t kLargestBody = 16U << 10U;
// What is shown of a body, after redaction.
inline constexpr std::size_t kShownBody = 2048;

// Whether what has this name (of a header, a query parameter, a JSON key) is a secret: tokens,
// keys, signatures, passwords. Case and punctuation do not matter. Page tokens are none.
bool is_secret_name(std::string_view name);

// "/files?path=a&signature=v1_x" -> "/files?path=a&signature=***"
std::string redact_target(std::string_view target);

// JSON with the values of secret names replaced, and those of environments, of MCP and registry
// settings, of header transforms. At most kShownBody bytes; "" for none; "(123 bytes)" for what is
// no JSON or longer than kLargestBody. `size` is that of the whole body, `body` may be its
// beginning.
std::string redact_body(std::string_view body, std::size_t size);

}  // namespace emulator::journal
