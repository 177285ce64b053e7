#include "emulator/dns/lookup.h"

#include <algorithm>
#include <optional>

#include "emulator/dns/records.h"

namespace emulator::dns {

namespace {

constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestName = 253;

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
  auto at = first_record(reply);
  if (!at) return {};
  for (std::size_t left = records_in(reply, 0); left > 0; --left) {
    auto record = record_at(reply, *at);
    if (!record) return {};
    Address address{};
    bool is_address = record->type == kTypeA && record->klass == kClassInternet;
    if (is_address && record->end - record->data == address.size()) {
      std::copy_n(reply.begin() + static_cast<std::ptrdiff_t>(record->data), address.size(),
                  address.begin());
      found.push_back(address);
    }
    at = record->end;
  }
  return found;
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
