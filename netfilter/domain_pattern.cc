#include "netfilter/domain_pattern.h"

#include <algorithm>

#include "netfilter/ipv4.h"

namespace netfilter {

namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035 in presentation form, without the last dot
constexpr std::size_t kLongestLabel = 63;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool has_only_labels(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  while (true) {
    auto dot = name.find('.');
    std::string_view label = name.substr(0, dot);
    if (label.empty() || label.size() > kLongestLabel) return false;
    if (!std::all_of(label.begin(), label.end(), is_name_character)) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// Lower case and without one trailing dot; nullopt when a character or a label is wrong.
std::optional<std::string> canonical(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string name = lower(text);
  if (!has_only_labels(name)) return std::nullopt;
  return name;
}

// A resolver takes "1", "0x7f.1" and "1.2.3" for addresses too; a public name never ends in a label
// of digits (RFC 3696, section 2).
bool looks_like_address(std::string_view name) {
  std::string_view last = name.substr(name.rfind('.') + 1);
  bool digits = std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits || last.starts_with("0x");
}

}  // namespace

std::optional<std::string> normalise_name(std::string_view text) {
  auto colon = text.find(':');
  if (colon != std::string_view::npos) {
    std::string_view port = text.substr(colon + 1);
    bool digits =
        std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return std::nullopt;
    text = text.substr(0, colon);
  }
  auto name = canonical(text);
  if (!name || looks_like_address(*name)) return std::nullopt;
  return name;
}

DomainPattern::DomainPattern(std::string_view entry) {
  if (entry == "*") {
    kind_ = Kind::kEverything;
    return;
  }
  // The dot is taken off the rest only: "*." must not become "*".
  bool below = entry.starts_with("*.");
  auto name = canonical(below ? entry.substr(2) : entry);
  if (!name) return;
  kind_ = below ? Kind::kBelow : Kind::kExact;
  name_ = below ? "." + *name : *name;
}

bool DomainPattern::matches(std::string_view name) const {
  switch (kind_) {
    case Kind::kNothing:
      return false;
    case Kind::kEverything:
      return !name.empty();
    case Kind::kExact:
      return name == name_;
    case Kind::kBelow:
      return name.size() > name_.size() && name.ends_with(name_);
  }
  return false;
}

}  // namespace netfilter
