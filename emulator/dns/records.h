// The records of a DNS message, walked without understanding them, and what follows from them: how
// long an answer by UDP may be, and how one is cut that is longer. Pure. Used by the listener, by
// look_up and by the fake internet's resolvers.
//   source  RFC 1035 sections 4.1 and 4.2.1, RFC 2181 section 9, RFC 6891 section 6
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "emulator/dns/message.h"

namespace emulator::dns {

inline constexpr std::uint16_t kTypeOpt = 41;         // EDNS
inline constexpr std::uint8_t kFlagTruncated = 0x02;  // of byte 2: TC
inline constexpr std::size_t kPlainUdpSize = 512;     // bytes of an answer to who offers no more

// Where a record lies in its message.
struct RecordPlace {
  std::size_t at = 0;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::size_t data = 0;  // where its data begins
  std::size_t end = 0;   // behind its data
};

// How many records the header promises, in a section (0: answers) or in all of them.
std::size_t records_in(View message, int section);
std::size_t all_records(View message);
// Where the records begin, behind the questions. nullopt: the message is damaged before.
std::optional<std::size_t> first_record(View message);
// nullopt: there is no whole record at `at`.
std::optional<RecordPlace> record_at(View message, std::size_t at);

// The most bytes that the answer to `query` may have over UDP: what its OPT record offers, 512 to
// 65507; 512 without one.
std::size_t udp_size(View query);

// An OPT record behind `reply`, which has none, when `query` has one.
void answer_opt(Bytes& reply, View query);

// Leaves `reply` alone when it has at most `limit` bytes (not below 12). Otherwise what remains is
// the question, as many whole records of the answer as fit, and the OPT record; the bit TC says
// that the client is to ask by TCP.
void fit(Bytes& reply, std::size_t limit);

}  // namespace emulator::dns
