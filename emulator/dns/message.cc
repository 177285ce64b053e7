#include "emulator/dns/message.h"

#include <algorithm>

namespace emulator::dns {

namespace {

constexpr std::uint8_t kFlagAnswer = 0x80;              // byte 2: QR
constexpr std::uint8_t kOpcodeMask = 0x78;              // byte 2
constexpr std::uint8_t kFlagRecursionDesired = 0x01;    // byte 2
constexpr std::uint8_t kFlagRecursionAvailable = 0x80;  // byte 3
constexpr std::size_t kMaxName = 255;                   // bytes on the wire
constexpr std::uint16_t kPointerToQuestion = 0xc000U | kHeaderSize;

std::uint16_t read16(View message, std::size_t at) {
  return static_cast<std::uint16_t>((message[at] << 8U) | message[at + 1]);
}

void append16(Bytes& message, std::uint16_t value) {
  message.push_back(static_cast<std::uint8_t>(value >> 8U));
  message.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

char lower(std::uint8_t byte) {
  return static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

// Adds one answer for the name asked for, and counts it.
void append_record(Bytes& reply, const Question& question, View data, std::uint32_t ttl) {
  auto count = static_cast<std::uint16_t>(read16(reply, 6) + 1U);
  reply[6] = static_cast<std::uint8_t>(count >> 8U);
  reply[7] = static_cast<std::uint8_t>(count & 0xffU);
  append16(reply, kPointerToQuestion);
  append16(reply, question.type);
  append16(reply, question.klass);
  append16(reply, static_cast<std::uint16_t>(ttl >> 16U));
  append16(reply, static_cast<std::uint16_t>(ttl & 0xffffU));
  append16(reply, static_cast<std::uint16_t>(data.size()));
  reply.insert(reply.end(), data.begin(), data.end());
}

}  // namespace

std::optional<Question> parse_query(View message) {
  if (message.size() < kHeaderSize) return std::nullopt;
  if ((message[2] & (kFlagAnswer | kOpcodeMask)) != 0 || read16(message, 4) != 1)
    return std::nullopt;
  Question question;
  std::size_t at = kHeaderSize;
  for (;;) {
    if (at >= message.size() || at - kHeaderSize >= kMaxName) return std::nullopt;
    std::size_t length = message[at++];
    if (length == 0) break;
    if (length > 63 || at + length > message.size()) return std::nullopt;  // above 63: a pointer
    if (!question.name.empty()) question.name += '.';
    for (std::uint8_t byte : message.subspan(at, length)) question.name += lower(byte);
    at += length;
  }
  if (at + 4 > message.size()) return std::nullopt;
  question.type = read16(message, at);
  question.klass = read16(message, at + 2);
  question.end = at + 4;
  return question;
}

std::uint16_t id_of(View message) {
  return message.size() < kHeaderSize ? std::uint16_t{0} : read16(message, 0);
}

void set_id(Bytes& message, std::uint16_t id) {
  if (message.size() < kHeaderSize) return;
  message[0] = static_cast<std::uint8_t>(id >> 8U);
  message[1] = static_cast<std::uint8_t>(id & 0xffU);
}

Bytes make_reply(View query, Rcode rcode) {
  if (query.size() < kHeaderSize || (query[2] & kFlagAnswer) != 0) return {};
  auto question = parse_query(query);
  View kept = query.first(question ? question->end : kHeaderSize);
  Bytes reply(kept.begin(), kept.end());
  reply[2] =
      static_cast<std::uint8_t>(kFlagAnswer | (query[2] & (kOpcodeMask | kFlagRecursionDesired)));
  reply[3] = static_cast<std::uint8_t>(kFlagRecursionAvailable | static_cast<std::uint8_t>(rcode));
  std::fill(reply.begin() + 4, reply.begin() + kHeaderSize, std::uint8_t{0});
  if (question) reply[5] = 1;
  return reply;
}

Bytes make_addresses_reply(View query,
                           const Question& question,
                           std::span<const std::array<std::uint8_t, 4>> addresses,
                           std::uint32_t ttl) {
  Bytes reply = make_reply(query, Rcode::kNoError);
  for (const auto& address : addresses) append_record(reply, question, address, ttl);
  return reply;
}

Bytes make_address_reply(View query, const Question& question, View address, std::uint32_t ttl) {
  Bytes reply = make_reply(query, Rcode::kNoError);
  append_record(reply, question, address, ttl);
  return reply;
}

bool answers(View reply, View query) {
  auto question = parse_query(query);
  if (!question || reply.size() < kHeaderSize || (reply[2] & kFlagAnswer) == 0) return false;
  if (id_of(reply) != id_of(query)) return false;
  // A server that understood nothing may leave the question out.
  if (read16(reply, 4) == 0) return reply.size() == kHeaderSize;
  if (reply.size() < question->end) return false;
  for (std::size_t i = kHeaderSize; i < question->end; ++i) {
    if (lower(reply[i]) != lower(query[i])) return false;
  }
  return true;
}

bool is_under(const std::string& name, const std::string& domain) {
  if (domain.empty() || !name.ends_with(domain)) return false;
  return name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.';
}

}  // namespace emulator::dns
