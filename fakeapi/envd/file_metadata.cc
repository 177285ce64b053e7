#include "fakeapi/envd/file_metadata.h"

#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <vector>

#include "fakeapi/http/json_text.h"

namespace fakeapi::envd {

using base::Errc;

namespace {

constexpr std::string_view kHeader = "x-metadata-";
constexpr std::string_view kAttribute = "user.e2b.";
constexpr std::size_t kMaxKey = 246;
constexpr std::size_t kMaxTotal = 4096;
constexpr std::size_t kMaxValue = 65536;  // the kernel's own limit

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    std::size_t size = http::utf8_character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

// Calls `list(buffer, size)` until the answer fits; the keys of ours in it.
template <class List>
std::vector<std::string> our_keys(List list) {
  std::array<char, 1024> small{};
  ssize_t size = list(small.data(), small.size());
  std::string names;
  if (size >= 0) {
    names.assign(small.data(), static_cast<std::size_t>(size));
  } else if (errno == ERANGE) {
    names.resize(kMaxValue);
    size = list(names.data(), names.size());
    names.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  }
  std::vector<std::string> keys;
  std::string_view rest = names;
  while (!rest.empty()) {
    std::string_view name = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (name.starts_with(kAttribute)) keys.emplace_back(name.substr(kAttribute.size()));
  }
  return keys;
}

template <class Get>
std::optional<std::string> value_of(Get get) {
  std::array<char, 4096> small{};
  ssize_t size = get(small.data(), small.size());
  if (size >= 0) return std::string(small.data(), static_cast<std::size_t>(size));
  if (errno != ERANGE) return std::nullopt;
  std::string large(kMaxValue, '\0');
  size = get(large.data(), large.size());
  if (size < 0) return std::nullopt;
  large.resize(static_cast<std::size_t>(size));
  return large;
}

std::string attribute(const std::string& key) {
  return std::string(kAttribute) + key;
}

}  // namespace

base::Result<Metadata> metadata_of(const http::Headers& headers) {
  Metadata metadata;
  std::size_t total = 0;
  for (const auto& [name, value] : headers) {
    std::string key = lower(name);
    if (!key.starts_with(kHeader)) continue;
    key.erase(0, kHeader.size());
    if (key.empty()) return base::fail(Errc::kInvalidArgument, "invalid metadata: key is empty");
    if (key.size() > kMaxKey) {
      return base::fail(Errc::kInvalidArgument, "invalid metadata: key '" + key + "' is too long");
    }
    if (!printable(key) || !printable(value)) {
      return base::fail(Errc::kInvalidArgument,
                        "invalid metadata: key '" + key + "' or its value is not printable ASCII");
    }
    if (!metadata.emplace(key, value).second) continue;
    total += kAttribute.size() + key.size() + value.size();
  }
  if (total > kMaxTotal) {
    return base::fail(Errc::kInvalidArgument, "invalid metadata: total size is over 4096 bytes");
  }
  return metadata;
}

Metadata read_metadata(const std::string& path) {
  Metadata metadata;
  auto list = [&](char* to, std::size_t size) { return ::listxattr(path.c_str(), to, size); };
  for (const std::string& key : our_keys(list)) {
    auto get = [&](char* to, std::size_t size) {
      return ::getxattr(path.c_str(), attribute(key).c_str(), to, size);
    };
    auto value = value_of(get);
    if (value && is_utf8(*value) && is_utf8(key)) metadata[key] = std::move(*value);
  }
  return metadata;
}

base::Result<> replace_metadata(int fd, const Metadata& wanted) {
  auto list = [fd](char* to, std::size_t size) { return ::flistxattr(fd, to, size); };
  for (const std::string& key : our_keys(list)) {
    if (!wanted.contains(key)) ::fremovexattr(fd, attribute(key).c_str());
  }
  for (const auto& [key, value] : wanted) {
    if (::fsetxattr(fd, attribute(key).c_str(), value.data(), value.size(), 0) == 0) continue;
    if (errno == ENOTSUP) return {};
    return base::fail_errno("set metadata");
  }
  return {};
}

}  // namespace fakeapi::envd
