// DNS messages as far as Sandlot needs them: the header and the question are read, answers of one
// address are written, everything else passes through as bytes. Pure. Source: RFC 1035 section 4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace emulator::dns {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

inline constexpr std::size_t kHeaderSize = 12;

enum class Rcode : std::uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNoSuchName = 3,
  kNotImplemented = 4,
  kRefused = 5
};

inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeAaaa = 28;
inline constexpr std::uint16_t kClassInternet = 1;

struct Question {
  std::string name;  // lower case, labels joined by dots, no dot at the end; "" is the root
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::size_t end = 0;  // where the question ends in the message
};

// The question of a standard query that asks exactly one. nullopt: anything else, malformed names
// (too long, compressed, running over the end) included.
std::optional<Question> parse_query(View message);

// 0 when the message has no header.
std::uint16_t id_of(View message);
void set_id(Bytes& message, std::uint16_t id);

// The question sent back without answers. Works on any message with a header; what cannot be parsed
// is answered without its question. Empty when there is nothing to answer: no header, or an answer
// itself.
Bytes make_reply(View query, Rcode rcode);

// One A record for each address, for the name asked for.
Bytes make_addresses_reply(View query,
                           const Question& question,
                           std::span<const std::array<std::uint8_t, 4>> addresses,
                           std::uint32_t ttl);
// One record, of 4 (A) or 16 (AAAA) bytes, for the name asked for. `query` must have parsed as
// `question`.
Bytes make_address_reply(View query, const Question& question, View address, std::uint32_t ttl);

// Whether `reply` answers `query`: same id, an answer, the same question (names compared without
// case).
bool answers(View reply, View query);

// `name` is `domain` or ends in ".<domain>". Both lower case without a dot at the end.
bool is_under(const std::string& name, const std::string& domain);

}  // namespace emulator::dns
