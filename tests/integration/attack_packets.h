// IPv4 packets by hand, checksums and all, for attack_probe: no socket of the kernel would send
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attack {

using Bytes = std::vector<std::uint8_t>;

struct Packet {
  std::uint32_t source = 0;  // host byte order, as the rest
  std::uint32_t target = 0;
  std::uint8_t protocol = 17;
  std::uint16_t source_port = 40000;
  std::uint16_t target_port = 7777;
  std::uint8_t tcp_flags = 0x02;  // SYN
  std::uint16_t id = 4711;
  Bytes inner = {};    // ICMP: the packet that an error message quotes
  Bytes options = {};  // of IPv4; a multiple of four
};

void put16(Bytes& bytes, std::uint16_t value);
void put32(Bytes& bytes, std::uint32_t value);

// What stands behind the IPv4 header: UDP, a TCP segment, an ICMP echo or error, an SCTP INIT, a
// GRE header, or 16 bytes of anything else.
Bytes payload_of(const Packet& packet);
// One IPv4 packet around `payload`, or a fragment of one.
Bytes ipv4(const Packet& packet, const Bytes& payload, std::size_t offset = 0, bool more = false);
// The whole packet cut behind each `size` bytes of payload (a multiple of eight); 0: not cut.
std::vector<Bytes> packets_of(const Packet& packet, std::size_t size);

// A TLS ClientHello for `name`, cut into records of at most `per_record` bytes.
std::string client_hello(const std::string& name, std::size_t per_record);

}  // namespace attack
