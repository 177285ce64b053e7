#include "emulator/fakenet/packet_watch.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <string_view>

#include "emulator/base/async.h"

namespace emulator::fakenet {

namespace {

constexpr std::size_t kRead = 256;  // of each packet
constexpr int kReceiveBuffer = 8 << 20;
constexpr int kAtOnce = 20'000;      // then everybody else has a turn, whatever a sandbox sends
constexpr std::size_t kHeader = 20;  // IPv4 without options

// Everything but TCP that is no SYN (a later fragment of TCP passes). Offsets are from the IP
// header.
base::Result<> attach_filter(int socket) {
  constexpr std::uint32_t kDrop = 0;
  // The whole packet: what a filter cuts off is missing in its size, too.
  constexpr std::uint32_t kKeep = 0xffffffff;
  constexpr std::uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
  constexpr std::uint16_t kLoadHalf = BPF_LD | BPF_H | BPF_ABS;
  std::array<sock_filter, 10> program = {{
      {kLoadByte, 0, 0, 9},                            // 0: the protocol
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 6, IPPROTO_TCP},  // 1: not TCP: keep
      {kLoadHalf, 0, 0, 6},                            // 2: flags and fragment offset
      {BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x1fff},      // 3: a later fragment: keep
      {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},            // 4: size of the IP header
      {BPF_LD | BPF_B | BPF_IND, 0, 0, 13},            // 5: TCP flags
      {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},         // 6: SYN and ACK
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02},         // 7: SYN alone: keep
      {BPF_RET | BPF_K, 0, 0, kKeep},                  // 8
      {BPF_RET | BPF_K, 0, 0, kDrop},                  // 9
  }};
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    return base::fail_errno("packet filter");
  return {};
}

std::uint16_t number_at(std::string_view bytes, std::size_t at) {
  if (at + 2 > bytes.size()) return 0;
  return static_cast<std::uint16_t>((static_cast<unsigned char>(bytes[at]) << 8U) |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

netfilter::Ipv4 address_at(std::string_view bytes, std::size_t at) {
  netfilter::Ipv4 address{};
  for (std::size_t i = 0; i < address.size(); ++i)
    address[i] = static_cast<std::uint8_t>(bytes[at + i]);
  return address;
}

}  // namespace

base::Result<base::UniqueFd> open_packet_socket(int link_index) {
  // Protocol 0: nothing arrives before the filter is there.
  base::UniqueFd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return base::fail_errno("open a packet socket");
  SANDLOT_CHECK(attach_filter(socket.get()));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(ETH_P_IP);
  link.sll_ifindex = link_index;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link) != 0)
    return base::fail_errno("listen on the link");
  return socket;
}

void record_packet(std::string_view bytes, std::size_t size, Canary& canary) {
  if (bytes.size() < kHeader) return;
  FarEnd to;
  to.protocol = static_cast<std::uint8_t>(bytes[9]);
  to.address = address_at(bytes, 16);
  std::size_t header = (static_cast<unsigned char>(bytes[0]) & 0x0fU) * 4U;
  // What the link adds to short packets is none of theirs.
  std::size_t total = std::min<std::size_t>(number_at(bytes, 2), size);
  std::size_t payload = std::max(header, std::size_t{kHeader});
  std::uint16_t source_port = 0;
  unsigned fragment = number_at(bytes, 6);
  bool later_follow = (fragment & 0x2000U) != 0;
  bool is_first = (fragment & 0x1fffU) == 0;
  if (is_first && (to.protocol == kTcp || to.protocol == kUdp)) {
    source_port = number_at(bytes, payload);
    to.port = number_at(bytes, payload + 2);
    if (to.protocol == kUdp) payload += 8;
  }
  std::uint64_t carried = total > payload ? total - payload : 0;
  FragmentsId fragments{address_at(bytes, 12), to.address, to.protocol, number_at(bytes, 4)};
  if (!is_first && canary.more(fragments, carried, !later_follow)) return;
  std::string_view beginning;
  if (to.protocol != kTcp && payload < bytes.size())
    beginning = bytes.substr(payload, static_cast<std::size_t>(carried));
  bool begins = is_first && later_follow;
  canary.packet(to, source_port, carried, beginning,
                begins ? std::optional(fragments) : std::nullopt);
}

PacketWatch::PacketWatch(boost::asio::any_io_executor executor,
                         base::UniqueFd socket,
                         Canary& canary)
    : socket_(executor, socket.release()), canary_(canary) {}

boost::asio::awaitable<void> PacketWatch::run() {
  for (;;) {
    auto [error] = co_await socket_.async_wait(socket_.wait_read, base::kUse);
    if (error) co_return;
    drain();
  }
}

void PacketWatch::drain() {
  std::array<char, kRead> packet{};
  for (int taken = 0; taken < kAtOnce; ++taken) {
    auto size =
        ::recv(socket_.native_handle(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    auto kept = std::min(static_cast<std::size_t>(size), packet.size());
    record_packet({packet.data(), kept}, static_cast<std::size_t>(size), canary_);
  }
  tpacket_stats stats{};
  socklen_t size = sizeof stats;
  if (::getsockopt(socket_.native_handle(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
    canary_.lost(stats.tp_drops);
}

}  // namespace emulator::fakenet
