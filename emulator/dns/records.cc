#include "emulator/dns/records.h"

#include <algorithm>

namespace emulator::dns {

namespace {

constexpr std::size_t kRecordFields = 10;   // type, class, ttl, length
constexpr std::size_t kLargestUdp = 65507;  // what an IPv4 datagram carries
constexpr std::uint8_t kOwnUdpSize = 4096 >> 8U;

std::size_t number(View message, std::size_t at) {
  return (std::size_t{message[at]} << 8U) | message[at + 1];
}

void set_number(Bytes& message, std::size_t at, std::size_t value) {
  message[at] = static_cast<std::uint8_t>(value >> 8U);
  message[at + 1] = static_cast<std::uint8_t>(value & 0xffU);
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

std::optional<RecordPlace> opt_of(View message) {
  auto at = first_record(message);
  for (std::size_t left = at ? all_records(message) : 0; left > 0; --left) {
    auto record = record_at(message, *at);
    if (!record || record->type == kTypeOpt) return record;
    at = record->end;
  }
  return std::nullopt;
}

}  // namespace

std::size_t records_in(View message, int section) {
  if (message.size() < kHeaderSize) return 0;
  return number(message, 6 + 2 * static_cast<std::size_t>(section));
}

std::size_t all_records(View message) {
  return records_in(message, 0) + records_in(message, 1) + records_in(message, 2);
}

std::optional<std::size_t> first_record(View message) {
  if (message.size() < kHeaderSize) return std::nullopt;
  std::optional<std::size_t> at = kHeaderSize;
  for (std::size_t left = number(message, 4); left > 0 && at; --left) {
    at = skip_name(message, *at);
    if (at) *at += 4;
  }
  if (at && *at > message.size()) return std::nullopt;
  return at;
}

std::optional<RecordPlace> record_at(View message, std::size_t at) {
  auto fields = skip_name(message, at);
  if (!fields || *fields + kRecordFields > message.size()) return std::nullopt;
  RecordPlace record;
  record.at = at;
  record.type = static_cast<std::uint16_t>(number(message, *fields));
  record.klass = static_cast<std::uint16_t>(number(message, *fields + 2));
  record.data = *fields + kRecordFields;
  record.end = record.data + number(message, *fields + 8);
  if (record.end > message.size()) return std::nullopt;
  return record;
}

std::size_t udp_size(View query) {
  auto opt = opt_of(query);
  if (!opt) return kPlainUdpSize;
  return std::clamp<std::size_t>(opt->klass, kPlainUdpSize, kLargestUdp);
}

void answer_opt(Bytes& reply, View query) {
  if (reply.size() < kHeaderSize || !opt_of(query)) return;
  // The root, the type, what we take, no flags, no options.
  for (std::uint8_t byte : Bytes{0, 0, kTypeOpt, kOwnUdpSize, 0, 0, 0, 0, 0, 0, 0})
    reply.push_back(byte);
  set_number(reply, 10, number(reply, 10) + 1);
}

void fit(Bytes& reply, std::size_t limit) {
  if (reply.size() <= limit || reply.size() < kHeaderSize) return;
  Bytes opt;
  if (auto place = opt_of(reply))
    opt.assign(reply.begin() + static_cast<std::ptrdiff_t>(place->at),
               reply.begin() + static_cast<std::ptrdiff_t>(place->end));
  std::size_t answers = 0;
  auto kept = first_record(reply);
  if (kept && *kept + opt.size() <= limit) {
    for (std::size_t left = records_in(reply, 0); left > 0; --left) {
      auto record = record_at(reply, *kept);
      if (!record || record->end + opt.size() > limit) break;
      kept = record->end;
      ++answers;
    }
  } else {
    // Damaged, or questions without end.
    kept = kHeaderSize;
    opt.clear();
    set_number(reply, 4, 0);
  }
  reply.resize(*kept);
  reply.insert(reply.end(), opt.begin(), opt.end());
  reply[2] |= kFlagTruncated;
  set_number(reply, 6, answers);
  set_number(reply, 8, 0);
  set_number(reply, 10, opt.empty() ? 0 : 1);
}

}  // namespace emulator::dns
