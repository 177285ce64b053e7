#include "emulator/fakenet/canary.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace emulator::fakenet {

namespace {

constexpr std::size_t kMaxCounters = 100'000;
constexpr std::size_t kMaxEvents = 20'000;
constexpr std::size_t kMaxBegun = 256;
constexpr std::size_t kPreview = 64;
constexpr std::size_t kMostText = 512;

std::string_view packet_kind(std::uint8_t protocol) {
  if (protocol == kTcp) return "syn";
  return protocol == kUdp ? "datagram" : "packet";
}

}  // namespace

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return "tcp";
    case kUdp:
      return "udp";
    case kIcmp:
      return "icmp";
    default:
      return "ip-" + std::to_string(protocol);
  }
}

std::optional<std::uint8_t> protocol_of(std::string_view name) {
  for (unsigned number = 0; number <= 255; ++number) {
    auto protocol = static_cast<std::uint8_t>(number);
    if (protocol_name(protocol) == name) return protocol;
  }
  return std::nullopt;
}

std::string preview(std::string_view bytes) {
  std::string text;
  for (char c : bytes.substr(0, kPreview)) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\t') {
      text += "\\t";
    } else if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      std::array<char, 5> hex{};
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned char>(c));
      text += hex.data();
    }
  }
  return text;
}

Counter& Canary::counter(const FarEnd& to) {
  // A scan of everything must not fill the memory; it ends in one counter per protocol.
  if (counters_.size() < kMaxCounters || counters_.contains(to)) return counters_[to];
  FarEnd rest;
  rest.protocol = to.protocol;
  return counters_[rest];
}

void Canary::note(Event event) {
  event.time = std::chrono::system_clock::now();
  events_.push_back(std::move(event));
  if (events_.size() <= kMaxEvents) return;
  events_.pop_front();
  ++events_dropped_;
}

void Canary::packet(const FarEnd& to,
                    std::uint16_t source_port,
                    std::uint64_t bytes,
                    std::string_view payload,
                    const std::optional<FragmentsId>& fragments) {
  Counter& count = counter(to);
  ++count.packets;
  // A SYN's bytes are counted when a service reads them.
  if (to.protocol != kTcp) count.bytes += bytes;
  Event event;
  event.kind = packet_kind(to.protocol);
  event.to = to;
  event.source_port = source_port;
  event.bytes = to.protocol == kTcp ? 0 : bytes;
  event.text = preview(payload);
  if (fragments) {
    begun_.push_back({*fragments, to, events_dropped_ + events_.size()});
    if (begun_.size() > kMaxBegun) begun_.pop_front();
  }
  note(std::move(event));
}

bool Canary::more(const FragmentsId& fragments, std::uint64_t bytes, bool last) {
  auto found = std::find_if(begun_.begin(), begun_.end(),
                            [&](const Begun& each) { return each.id == fragments; });
  if (found == begun_.end()) return false;
  if (found->to.protocol != kTcp) {
    counter(found->to).bytes += bytes;
    if (found->event >= events_dropped_) events_[found->event - events_dropped_].bytes += bytes;
  }
  if (last) begun_.erase(found);
  return true;
}

void Canary::accepted(const FarEnd& to, std::uint16_t source_port) {
  ++counter(to).accepts;
  Event event;
  event.kind = "accept";
  event.to = to;
  event.source_port = source_port;
  note(std::move(event));
}

void Canary::received(const FarEnd& to,
                      std::uint16_t source_port,
                      std::string_view bytes,
                      bool first) {
  counter(to).bytes += bytes.size();
  if (!first) return;
  Event event;
  event.kind = "data";
  event.to = to;
  event.source_port = source_port;
  event.bytes = bytes.size();
  event.text = preview(bytes);
  note(std::move(event));
}

void Canary::understood(std::string_view kind, const FarEnd& to, std::string text) {
  Event event;
  event.kind = kind;
  event.to = to;
  // A request may name a target of 64 KiB, and 20,000 events are kept.
  if (text.size() > kMostText) text = text.substr(0, kMostText) + "...";
  text.shrink_to_fit();
  event.text = std::move(text);
  note(std::move(event));
}

void Canary::clear() {
  counters_.clear();
  events_.clear();
  begun_.clear();
  events_dropped_ = 0;
  lost_ = 0;
}

}  // namespace emulator::fakenet
