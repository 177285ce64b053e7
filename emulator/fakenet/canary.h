// What arrived at the far end: the proof behind every "blocked". Counters for every protocol,
// address and port, and the latest events in words. Written by PacketWatch (what the kernel saw
// arrive, SYNs and datagrams to closed ports included) and by the services (what they accepted and
// read). Plain memory, bounded; one thread.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/clock.h"
#include "netfilter/ipv4.h"

namespace emulator::fakenet {

inline constexpr std::uint8_t kIcmp = 1;  // IP protocol numbers
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
// "tcp", "udp", "icmp", "ip-47".
std::string protocol_name(std::uint8_t protocol);
// The protocol that has this name; nullopt: none.
std::optional<std::uint8_t> protocol_of(std::string_view name);

struct FarEnd {
  std::uint8_t protocol = kTcp;
  netfilter::Ipv4 address{};
  std::uint16_t port = 0;  // 0: ICMP and others, and later fragments of what began unseen
  auto operator<=>(const FarEnd&) const = default;
};

// What the fragments of one packet have in common (RFC 791).
struct FragmentsId {
  netfilter::Ipv4 source{};
  netfilter::Ipv4 destination{};
  std::uint8_t protocol = 0;
  std::uint16_t id = 0;
  auto operator<=>(const FragmentsId&) const = default;
};

struct Counter {
  std::uint64_t packets = 0;  // TCP: SYNs; others: packets
  std::uint64_t accepts = 0;  // TCP connections that a service took
  std::uint64_t bytes =
      0;  // TCP: read from connections; UDP: payload; others: behind the IP header
};

struct Event {
  base::TimePoint time;
  std::string_view kind;  // "syn", "accept", "data", "datagram", "packet", "query", "request"
  FarEnd to;
  std::uint16_t source_port = 0;
  std::uint64_t bytes = 0;
  std::string text;  // the first bytes, or what was asked for
};

class Canary {
 public:
  // A SYN, a datagram or another packet. `payload` is its beginning, `bytes` its whole size; with
  // `fragments`, those of its first fragment.
  void packet(const FarEnd& to,
              std::uint16_t source_port,
              std::uint64_t bytes,
              std::string_view payload,
              const std::optional<FragmentsId>& fragments = std::nullopt);
  // A later fragment: its bytes are more of the packet that began with that id. False when none
  // did; then it is a packet of its own.
  bool more(const FragmentsId& fragments, std::uint64_t bytes, bool last);
  void accepted(const FarEnd& to, std::uint16_t source_port);
  // The first read of a connection is an event.
  void received(const FarEnd& to, std::uint16_t source_port, std::string_view bytes, bool first);
  // What a service understood: kind "query" or "request".
  void understood(std::string_view kind, const FarEnd& to, std::string text);
  // Packets that the kernel could not keep for us: the counters are too low by as many.
  void lost(std::uint64_t packets) { lost_ += packets; }
  void clear();

  const std::map<FarEnd, Counter>& counters() const { return counters_; }
  const std::deque<Event>& events() const { return events_; }
  std::uint64_t events_dropped() const { return events_dropped_; }
  std::uint64_t lost() const { return lost_; }

 private:
  struct Begun {
    FragmentsId id;
    FarEnd to;
    std::uint64_t event = 0;  // its number, those that were dropped included
  };
  Counter& counter(const FarEnd& to);
  void note(Event event);

  std::map<FarEnd, Counter> counters_;
  std::deque<Event> events_;  // the latest kMaxEvents
  std::deque<Begun> begun_;   // packets whose last fragment is yet to come; the latest kMaxBegun
  std::uint64_t events_dropped_ = 0;
  std::uint64_t lost_ = 0;
};

// Bytes as one line of text: printable ASCII as it is, the rest as \n, \r, \t or \xNN; at most 64
// bytes.
std::string preview(std::string_view bytes);

}  // namespace emulator::fakenet
