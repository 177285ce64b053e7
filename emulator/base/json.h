// JSON from outside, read so that it cannot bring the program down.
#pragma once

#include <cstddef>
#include <string_view>

namespace base {

// No client nests deeper. The cloud's own limit is 10,000; here it is what a small stack holds, for
// values are copied and written by functions that call themselves once for each level.
inline constexpr std::size_t kDeepestJson = 512;

// Whether arrays and objects stand in each other more than kDeepestJson times. Any text will do: it
// need not be JSON.
bool nested_too_deep(std::string_view text);

// `Json`: a nlohmann::basic_json. Discarded when the text is no JSON, and when it is nested too
// deep.
template <class Json>
Json parse_json(std::string_view text) {
  if (nested_too_deep(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

}  // namespace base
