#include "emulator/intercept/header_rules.h"

#include <algorithm>
#include <array>

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

using Swaps = std::vector<std::pair<std::string, std::string>>;

// From left to right; what was put in is not looked through again. Each text is searched for once
// in all, however often it occurs.
void append_swapped(std::string& out, std::string_view value, const Swaps& swaps) {
  std::vector<std::size_t> next;  // where each text is found next
  for (const auto& [from, to] : swaps) next.push_back(value.find(from));
  std::size_t done = 0;
  for (;;) {
    auto nearest = std::min_element(next.begin(), next.end());
    if (nearest == next.end() || *nearest == std::string_view::npos) break;
    const auto& [from, to] = swaps[static_cast<std::size_t>(nearest - next.begin())];
    out.append(value.substr(done, *nearest - done)).append(to);
    done = *nearest + from.size();
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (next[i] < done) next[i] = value.find(swaps[i].first, done);
    }
  }
  out.append(value.substr(done));
}

void append_line(std::string& out,
                 std::string_view name,
                 std::string_view value,
                 const Swaps& swaps) {
  out.append(name).append(": ");
  append_swapped(out, value, swaps);
  out.append("\r\n");
}

}  // namespace

void HeaderRules::add(std::string_view name, std::optional<std::uint16_t> port, Edits edits) {
  auto normalised = netfilter::normalise_name(name);
  if (!normalised) return;
  std::erase_if(edits.set, [](const auto& header) { return !is_ours(header.first); });
  if (edits.empty()) return;
  hosts_.push_back({std::move(*normalised), port, std::move(edits)});
}

void HeaderRules::add_secret(std::span<const std::string> hosts,
                             std::string placeholder,
                             std::string value) {
  if (hosts.empty() || placeholder.empty()) return;
  secrets_.push_back({{hosts.begin(), hosts.end()}, std::move(placeholder), std::move(value)});
}

bool HeaderRules::Secret::goes_to(std::string_view name) const {
  return std::any_of(hosts.begin(), hosts.end(),
                     [name](const auto& pattern) { return pattern.matches(name); });
}

bool HeaderRules::concern(std::string_view name, std::uint16_t port, bool tls) const {
  auto is_host = [&](const Host& host) {
    return (name.empty() || host.name == name) && host.port.value_or(port) == port;
  };
  auto is_secret = [&](const Secret& secret) { return name.empty() || secret.goes_to(name); };
  return std::any_of(hosts_.begin(), hosts_.end(), is_host) ||
         (tls && std::any_of(secrets_.begin(), secrets_.end(), is_secret));
}

Edits HeaderRules::of(std::string_view name, std::uint16_t port, bool tls) const {
  Edits edits;
  for (const Host& host : hosts_) {
    if (host.name != name || host.port.value_or(port) != port) continue;
    edits.set.insert(edits.set.end(), host.edits.set.begin(), host.edits.set.end());
    if (edits.problem.empty()) edits.problem = host.edits.problem;
  }
  for (const Secret& secret : secrets_) {
    if (tls && secret.goes_to(name)) edits.swap.emplace_back(secret.placeholder, secret.value);
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
      if (!written[i]) append_line(out, edits.set[i].first, edits.set[i].second, edits.swap);
      written[i] = replaced = true;
    }
    if (!replaced) append_line(out, header.name, header.value, edits.swap);
  }
  for (std::size_t i = 0; i < edits.set.size(); ++i) {
    if (!written[i]) append_line(out, edits.set[i].first, edits.set[i].second, edits.swap);
  }
  return out + "\r\n";
}

}  // namespace emulator::intercept
