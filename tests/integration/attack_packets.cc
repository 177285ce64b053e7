#include "tests/integration/attack_packets.h"

#include <algorithm>

namespace attack {

namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kGre = 47, kSctp = 132;

std::uint16_t internet_checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0U;
    sum += static_cast<std::uint32_t>(bytes[i]) << 8U | low;
  }
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

void set16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8U);
  bytes[at + 1] = static_cast<std::uint8_t>(value & 0xffU);
}

Bytes tcp(const Packet& packet) {
  Bytes segment;
  put16(segment, packet.source_port);
  put16(segment, packet.target_port);
  put32(segment, 1000);
  put32(segment, (packet.tcp_flags & 0x10U) != 0 ? 2000U : 0U);
  segment.push_back(0x50);  // five words of header
  segment.push_back(packet.tcp_flags);
  put16(segment, 65535);
  put32(segment, 0);  // checksum, urgent pointer
  Bytes summed;
  put32(summed, packet.source);
  put32(summed, packet.target);
  put16(summed, kTcp);
  put16(summed, static_cast<std::uint16_t>(segment.size()));
  summed.insert(summed.end(), segment.begin(), segment.end());
  set16(segment, 16, internet_checksum(summed));
  return segment;
}

// A packet of the kernel's own would carry this checksum (CRC-32C); without it connection tracking
// calls the packet invalid.
std::uint32_t crc32c(const Bytes& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

Bytes sctp_init(const Packet& packet) {
  Bytes bytes;
  put16(bytes, packet.source_port);
  put16(bytes, packet.target_port);
  put32(bytes, 0);       // verification tag
  put32(bytes, 0);       // checksum
  put16(bytes, 0x0100);  // INIT, no flags
  put16(bytes, 20);
  put32(bytes, 4711);   // initiate tag
  put32(bytes, 65536);  // window
  put16(bytes, 1);
  put16(bytes, 1);
  put32(bytes, 1);
  std::uint32_t crc = crc32c(bytes);
  for (std::size_t i = 0; i < 4; ++i)
    bytes[8 + i] = static_cast<std::uint8_t>(crc >> (8U * i) & 0xffU);
  return bytes;
}

Bytes icmp(const Packet& packet) {
  Bytes bytes;
  // An error says "port unreachable" and quotes what it is about; the rest asks for an echo.
  put16(bytes, packet.inner.empty() ? 0x0800 : 0x0303);
  put16(bytes, 0);
  put32(bytes, packet.inner.empty() ? 0x12340001U : 0U);
  bytes.insert(bytes.end(), packet.inner.begin(), packet.inner.end());
  set16(bytes, 2, internet_checksum(bytes));
  return bytes;
}

Bytes udp(const Packet& packet) {
  const std::string text = "attack";
  Bytes bytes;
  put16(bytes, packet.source_port);
  put16(bytes, packet.target_port);
  put16(bytes, static_cast<std::uint16_t>(8 + text.size()));
  put16(bytes, 0);  // no checksum
  bytes.insert(bytes.end(), text.begin(), text.end());
  return bytes;
}

}  // namespace

void put16(Bytes& bytes, std::uint16_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
  bytes.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, static_cast<std::uint16_t>(value >> 16U));
  put16(bytes, static_cast<std::uint16_t>(value & 0xffffU));
}

Bytes payload_of(const Packet& packet) {
  switch (packet.protocol) {
    case kTcp:
      return tcp(packet);
    case kUdp:
      return udp(packet);
    case kIcmp:
      return icmp(packet);
    case kSctp:
      return sctp_init(packet);
    case kGre:
      return {0, 0, 0x08, 0x00, 'a', 't', 't', 'a', 'c', 'k', 0, 0};
    default:
      return Bytes(16, 'a');
  }
}

Bytes ipv4(const Packet& packet, const Bytes& payload, std::size_t offset, bool more) {
  std::size_t header = 20 + packet.options.size();
  Bytes bytes;
  bytes.push_back(static_cast<std::uint8_t>(0x40U | header / 4));
  bytes.push_back(0);
  put16(bytes, static_cast<std::uint16_t>(header + payload.size()));
  put16(bytes, packet.id);
  put16(bytes, static_cast<std::uint16_t>((more ? 0x2000U : 0U) | offset / 8));
  bytes.push_back(64);
  bytes.push_back(packet.protocol);
  put16(bytes, 0);
  put32(bytes, packet.source);
  put32(bytes, packet.target);
  bytes.insert(bytes.end(), packet.options.begin(), packet.options.end());
  set16(bytes, 10, internet_checksum(bytes));
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

std::vector<Bytes> packets_of(const Packet& packet, std::size_t size) {
  Bytes payload = payload_of(packet);
  if (size == 0) return {ipv4(packet, payload)};
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < payload.size(); at += size) {
    std::size_t end = std::min(at + size, payload.size());
    Bytes piece(payload.begin() + static_cast<std::ptrdiff_t>(at),
                payload.begin() + static_cast<std::ptrdiff_t>(end));
    pieces.push_back(ipv4(packet, piece, at, end < payload.size()));
  }
  return pieces;
}

std::string client_hello(const std::string& name, std::size_t per_record) {
  auto with_length = [](const Bytes& content, int width) {
    Bytes bytes;
    for (int i = width - 1; i >= 0; --i)
      bytes.push_back(static_cast<std::uint8_t>(content.size() >> (8 * i) & 0xffU));
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
  };
  Bytes entry = {0};  // a host name
  Bytes text = with_length(Bytes(name.begin(), name.end()), 2);
  entry.insert(entry.end(), text.begin(), text.end());
  Bytes extension = {0, 0};  // server_name
  Bytes list = with_length(with_length(entry, 2), 2);
  extension.insert(extension.end(), list.begin(), list.end());
  // Padding, so that a great number of records has something to carry.
  extension.insert(extension.end(), {0, 21});
  Bytes padding = with_length(Bytes(1500, 0), 2);
  extension.insert(extension.end(), padding.begin(), padding.end());
  Bytes body = {3, 3};
  body.insert(body.end(), 32, 7);  // random
  body.insert(body.end(), {0, 0, 2, 0x13, 0x01, 1, 0});
  Bytes extensions = with_length(extension, 2);
  body.insert(body.end(), extensions.begin(), extensions.end());
  Bytes message = {1};
  Bytes sized = with_length(body, 3);
  message.insert(message.end(), sized.begin(), sized.end());
  std::string wire;
  for (std::size_t at = 0; at < message.size(); at += per_record) {
    std::size_t size = std::min(per_record, message.size() - at);
    wire += {0x16, 3, 1, static_cast<char>(size >> 8U), static_cast<char>(size & 0xffU)};
    wire.append(message.begin() + static_cast<std::ptrdiff_t>(at),
                message.begin() + static_cast<std::ptrdiff_t>(at + size));
  }
  return wire;
}

}  // namespace attack
