#include "emulator/fakenet/services.h"

#include <array>

#include "emulator/base/async.h"
#include "emulator/dns/records.h"

namespace emulator::fakenet {

namespace asio = boost::asio;
namespace http = fakeapi::http;

namespace {

base::Task<> read_exactly(http::ByteStream& stream, std::span<char> into) {
  while (!into.empty()) {
    SANDLOT_CO_TRY(std::size_t count, co_await stream.read_some(into));
    if (count == 0) co_return base::fail(base::Errc::kUnavailable, "connection: end of file");
    into = into.subspan(count);
  }
  co_return base::Result<>();
}

// Reads to the end; what comes is sent back when `echo`.
asio::awaitable<void> drain(http::ByteStream& stream, bool echo) {
  std::vector<char> buffer(16U << 10U);
  for (;;) {
    auto count = co_await stream.read_some(buffer);
    if (!count || *count == 0) co_return;
    if (!echo) continue;
    std::string_view bytes(buffer.data(), *count);
    auto sent = co_await stream.write_all(bytes);
    if (!sent) co_return;
  }
}

}  // namespace

asio::awaitable<void> serve_plain(http::ByteStream& stream, Place place) {
  const Service& service = place.service;
  if (service.kind == ServiceKind::kReset) {
    // After the first bytes: the canary shows what was sent, the client that it was not taken.
    std::array<char, 4096> buffer{};
    co_await stream.read_some(buffer);
    stream.close(true);
    co_return;
  }
  if (service.kind == ServiceKind::kBanner) {
    auto sent = co_await stream.write_all(service.text);
    if (!sent) co_return;
  }
  co_await drain(stream, service.kind == ServiceKind::kEcho);
  if (!service.at_end.empty()) co_await stream.write_all(service.at_end);
  stream.close(false);
}

asio::awaitable<dns::Bytes> answer_query(dns::Bytes query,
                                         FarEnd here,
                                         Hosts& hosts,
                                         Canary& canary) {
  auto question = dns::parse_query(query);
  if (!question) co_return dns::make_reply(query, dns::Rcode::kFormatError);
  bool is_a = question->type == dns::kTypeA;
  std::string type = is_a                               ? "A"
                     : question->type == dns::kTypeAaaa ? "AAAA"
                                                        : std::to_string(question->type);
  canary.understood("query", here, type + " " + question->name);
  Resolution resolution = hosts.resolve(question->name, is_a);
  if (resolution.delay.count() > 0) co_await base::sleep_for(resolution.delay);
  dns::Bytes reply;
  if (resolution.rcode == dns::Rcode::kNoError && is_a) {
    reply = dns::make_addresses_reply(query, *question, resolution.addresses, resolution.ttl);
  } else {
    reply = dns::make_reply(query, resolution.rcode);
  }
  dns::answer_opt(reply, query);
  co_return reply;
}

asio::awaitable<void> serve_dns_stream(http::ByteStream& stream,
                                       Place place,
                                       Hosts& hosts,
                                       Canary& canary) {
  for (;;) {
    std::array<char, 2> size{};
    auto got = co_await read_exactly(stream, size);
    if (!got) co_return;
    auto length = static_cast<std::size_t>((static_cast<unsigned char>(size[0]) << 8U) |
                                           static_cast<unsigned char>(size[1]));
    dns::Bytes query(length);
    std::span<char> bytes(reinterpret_cast<char*>(query.data()), query.size());
    got = co_await read_exactly(stream, bytes);
    if (!got) co_return;
    dns::Bytes reply = co_await answer_query(std::move(query), place.here, hosts, canary);
    if (reply.empty()) co_return;
    size[0] = static_cast<char>(reply.size() >> 8U);
    size[1] = static_cast<char>(reply.size() & 0xffU);
    std::string_view head(size.data(), size.size());
    std::string_view body(reinterpret_cast<const char*>(reply.data()), reply.size());
    auto sent = co_await stream.write_all(head, body);
    if (!sent) co_return;
  }
}

}  // namespace emulator::fakenet
