#include "netfilter/ipv4.h"

#include <algorithm>
#include <charconv>

namespace netfilter {

namespace {

std::uint32_t number_of(const Ipv4& address) {
  std::uint32_t number = 0;
  for (std::uint8_t part : address) number = (number << 8U) | part;
  return number;
}

}  // namespace

std::string to_string(const Ipv4& address) {
  std::string text;
  for (std::uint8_t part : address) {
    if (!text.empty()) text += '.';
    text += std::to_string(part);
  }
  return text;
}

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  Ipv4 address{};
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), address[i]);
    auto digits = static_cast<std::size_t>(end - text.data());
    if (error != std::errc() || (digits > 1 && text[0] == '0')) return std::nullopt;
    text.remove_prefix(digits);
  }
  if (!text.empty()) return std::nullopt;
  return address;
}

bool Ipv4Range::contains(const Ipv4& address) const {
  std::uint32_t mask = prefix_length == 0 ? 0 : ~std::uint32_t{0} << (32U - prefix_length);
  return (number_of(address) & mask) == (number_of(first) & mask);
}

std::string to_string(const Ipv4Range& range) {
  return to_string(range.first) + "/" + std::to_string(range.prefix_length);
}

bool is_always_denied(const Ipv4& address) {
  return std::any_of(kAlwaysDenied.begin(), kAlwaysDenied.end(),
                     [&](const Ipv4Range& range) { return range.contains(address); });
}

}  // namespace netfilter
