#include "emulator/dns/lookup.h"

#include <algorithm>
#include <optional>

namespace emulator::dns {

namespace {

constexpr std::uint8_t kFlagTruncated = 0x02;  // byte 2: TC
constexpr std::size_t kRecordFields = 10;      // type, class, ttl, length
constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestName = 253;

std::size_t number(View message, std::size_t at) {
  return (std::size_t{message[at]} << 8U) | message[at + 1];
}

// The position after the name at `at`, whose pointers are not followed; nullopt past the end.
std::optional<std::size_t> skip_name(View message, std::size_t at) {
  while (at < message.size()) {
    std::size_t length = message[at];
    if (length == 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Bytes> make_query(const std::string& name, std::uint16_t type) {
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  // The id is ask()'s business. One question, recursion desired.
  Bytes query = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  for (std::size_t at = 0; at <= name.size();) {
    std::size_t end = std::min(name.find('.', at), name.size());
    if (end == at || end - at > kLongestLabel) return std::nullopt;
    query.push_back(static_cast<std::uint8_t>(end - at));
    for (char c : name.substr(at, end - at)) query.push_back(static_cast<std::uint8_t>(c));
    at = end + 1;
  }
  query.push_back(0);
  for (std::uint16_t value : {type, kClassInternet}) {
    query.push_back(static_cast<std::uint8_t>(value >> 8U));
    query.push_back(static_cast<std::uint8_t>(value & 0xffU));
  }
  return query;
}

std::vector<Address> addresses_in(View reply) {
  std::vector<Address> found;
  if (reply.size() < kHeaderSize) return found;
  std::size_t answers = number(reply, 6);
  std::optional<std::size_t> at = kHeaderSize;
  for (std::size_t i = number(reply, 4); i > 0 && at; --i) {
    at = skip_name(reply, *at);
    if (at) *at += 4;
  }
  for (; answers > 0 && at; --answers) {
    at = skip_name(reply, *at);
    if (!at || *at + kRecordFields > reply.size()) return {};
    std::size_t length = number(reply, *at + 8);
    std::size_t data = *at + kRecordFields;
    if (data + length > reply.size()) return {};
    Address address{};
    bool is_address = number(reply, *at) == kTypeA && number(reply, *at + 2) == kClassInternet;
    if (is_address && length == address.size()) {
      std::copy_n(reply.begin() + static_cast<std::ptrdiff_t>(data), length, address.begin());
      found.push_back(address);
    }
    at = data + length;
  }
  return at ? found : std::vector<Address>();
}

base::Task<std::vector<Address>> look_up(std::string name,
                                         Servers servers,
                                         std::chrono::milliseconds limit,
                                         OpenSocket open) {
  auto query = make_query(name, kTypeA);
  if (!query) co_return base::fail(base::Errc::kInvalidArgument, "'" + name + "' is no host name");
  SANDLOT_CO_TRY(Bytes reply, co_await ask(*query, servers, Transport::kUdp, limit, open));
  if (reply.size() >= kHeaderSize && (reply[2] & kFlagTruncated) != 0) {
    SANDLOT_CO_TRY(reply, co_await ask(*query, servers, Transport::kTcp, limit, open));
  }
  co_return addresses_in(reply);
}

}  // namespace emulator::dns
