#include "fakeapi/cloud/secret_markers.h"

#include <algorithm>

#include "fakeapi/cloud/secret_rules.h"

namespace fakeapi::cloud {

namespace {

constexpr std::string_view kSecret = "${e2b.secrets.";
constexpr std::string_view kIdentity = "${e2b.identity.tokens.";

base::Failure malformed() {
  return base::fail(base::Errc::kInvalidArgument,
                    "Network transform header contains a malformed E2B placeholder.");
}

std::size_t next_marker(std::string_view value, std::size_t from) {
  return std::min(value.find(kSecret, from), value.find(kIdentity, from));
}

}  // namespace

base::Result<std::vector<SecretMarker>> find_secret_markers(std::string_view value) {
  std::vector<SecretMarker> markers;
  for (std::size_t begin = next_marker(value, 0); begin != std::string_view::npos;) {
    bool is_secret = value.substr(begin).starts_with(kSecret);
    std::size_t name_begin = begin + (is_secret ? kSecret : kIdentity).size();
    std::size_t close = value.find('}', name_begin);
    if (close == std::string_view::npos || next_marker(value, name_begin) < close) {
      return malformed();
    }
    std::string_view name = value.substr(name_begin, close - name_begin);
    if (name.empty()) return malformed();
    if (is_secret) {
      auto canonical = canonical_secret_name(name);
      if (!canonical) return malformed();
      markers.push_back({std::move(*canonical), begin, close + 1});
    }
    begin = next_marker(value, close + 1);
  }
  return markers;
}

}  // namespace fakeapi::cloud
