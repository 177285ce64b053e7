// DNS messages from sandboxes and from servers.
#include <algorithm>

#include "emulator/dns/message.h"
#include "emulator/dns/records.h"
#include "tests/fuzz/target.h"

namespace dns = emulator::dns;
using tests::fuzz::require;

FUZZ_TARGET(dns_message) {
  dns::Bytes message(input.begin(), input.end());
  auto question = dns::parse_query(message);
  auto reply = dns::make_reply(message, dns::Rcode::kRefused);
  require(reply.size() <= message.size(), "a bare reply is not longer than the query");
  (void)dns::answers(message, message);
  std::size_t limit = dns::udp_size(message);
  require(limit >= dns::kPlainUdpSize && limit <= 65507, "an answer has room for 512 bytes");
  dns::Bytes with_opt = reply;
  dns::answer_opt(with_opt, message);
  require(with_opt.size() <= reply.size() + 11, "an OPT record of ours has 11 bytes");
  for (std::size_t room : {dns::kHeaderSize, std::size_t{100}, dns::kPlainUdpSize}) {
    dns::Bytes cut = message;
    dns::fit(cut, room);
    require(cut.size() <= std::max(room, dns::kHeaderSize), "what is cut fits");
    require(cut == message || (cut.at(2) & 0x02U) != 0, "what is cut says so");
  }
  if (!question) return;
  require(question->name.size() <= 255, "a name has at most 255 bytes");
  require(question->end <= message.size(), "a question lies in its message");
  require(dns::answers(reply, message), "our reply answers the query");
  for (std::size_t size : {4U, 16U}) {
    dns::Bytes address(size, 1);
    auto full = dns::make_address_reply(message, *question, address, 60);
    require(full.size() == reply.size() + 12 + size, "an answer is one record");
    require(dns::answers(full, message), "our answer answers the query");
    dns::set_id(full, static_cast<std::uint16_t>(dns::id_of(message) + 1U));
    require(!dns::answers(full, message), "another id answers nothing");
  }
  (void)dns::is_under(question->name, "localhost");
}
