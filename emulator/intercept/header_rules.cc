#include "emulator/intercept/header_rules.h"

#include <algorithm>
#include <array>

#include "netfilter/domain_pattern.h"

namespace emulator::intercept {

using fakeapi::http::iequals;

namespace {

constexpr std::array<std::string_view, 10> kNotOurs = {
    "Host",       "Content-Length",   "Transfer-Encoding", "Connection", "Upgrade",
    "Keep-Alive", "Proxy-Connection", "Trailer",           "TE",         "Expect"};

bool is_ours(std::string_view name) {
  return std::none_of(kNotOurs.begin(), kNotOurs.end(),
                      [name](std::string_view other) { return iequals(name, other); });
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

void HeaderRules::add(std::string_view name, std::optional<std::uint16_t> port, Edits edits) {
  auto normalised = netfilter::normalise_name(name);
  if (!normalised) return;
  std::erase_if(edits.set, [](const auto& header) { return !is_ours(header.first); });
  if (edits.empty()) return;
  hosts_.push_back({std::move(*normalised), port, std::move(edits)});
}

bool HeaderRules::concern(std::string_view name, std::uint16_t port) const {
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const Host& host) {
    return (name.empty() || host.name == name) && host.port.value_or(port) == port;
  });
}

Edits HeaderRules::of(std::string_view name, std::uint16_t port) const {
  Edits edits;
  for (const Host& host : hosts_) {
    if (host.name != name || host.port.value_or(port) != port) continue;
    edits.set.insert(edits.set.end(), host.edits.set.begin(), host.edits.set.end());
  }
  return edits;
}

std::string edited_head(std::string_view bytes, const proxy::WireHead& head, const Edits& edits) {
  if (edits.empty()) return std::string(bytes);
  std::string out(bytes.substr(0, bytes.find('\n') + 1));  // the request line, as it came
  std::vector<bool> written(edits.set.size());
  for (const proxy::HeaderView& header : head.headers) {
    bool replaced = false;
    for (std::size_t i = 0; i < edits.set.size(); ++i) {
      if (!iequals(header.name, edits.set[i].first)) continue;
      if (!written[i]) append_line(out, edits.set[i].first, edits.set[i].second);
      written[i] = replaced = true;
    }
    if (!replaced) append_line(out, header.name, header.value);
  }
  for (std::size_t i = 0; i < edits.set.size(); ++i) {
    if (!written[i]) append_line(out, edits.set[i].first, edits.set[i].second);
  }
  return out + "\r\n";
}

}  // namespace emulator::intercept
