#include "fakeapi/envd/keepalive.h"

#include <charconv>
#include <string_view>

namespace fakeapi::envd {

namespace {

constexpr auto kDefault = std::chrono::seconds(90);

}  // namespace

std::chrono::seconds keepalive_interval(const http::Headers& headers) {
  std::string_view text = headers.get("Keepalive-Ping-Interval");
  int seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && seconds > 0 ? std::chrono::seconds(seconds) : kDefault;
}

}  // namespace fakeapi::envd
