#include "tests/bench/floor_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace bench {

namespace {

constexpr int kLoopbackIndex = 1;
constexpr int kEthIndex = 2;
constexpr int kFirstLinkIndex = 1000;
constexpr std::uint32_t kGateway = 0xa9fe0101;       // 169.254.1.1
constexpr std::uint32_t kFirstAddress = 0x0a470000;  // 10.71.0.0

using Mac = std::array<std::uint8_t, 6>;

Mac mac_of(std::uint8_t side, std::uint32_t number) {
  return {0x02,
          0x5a,
          side,
          static_cast<std::uint8_t>(number >> 16U),
          static_cast<std::uint8_t>(number >> 8U),
          static_cast<std::uint8_t>(number)};
}
Mac switch_mac(std::uint32_t number) {
  return mac_of(0, number);
}
Mac inner_mac(std::uint32_t number) {
  return mac_of(1, number);
}

// Several requests sent by one sendmsg: rtnetlink works them off in order and acknowledges each.
class Batch {
 public:
  template <class Header>
  Header* begin(std::uint16_t type, std::uint16_t flags) {
    message_ = used_;
    auto* head = place<nlmsghdr>();
    head->nlmsg_type = type;
    head->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    head->nlmsg_seq = ++count_;
    auto* header = place<Header>();
    finish_length();
    return header;
  }
  void attribute(std::uint16_t type, const void* data, std::size_t size) {
    std::size_t start = open(type);
    std::memcpy(buffer_.data() + used_, data, size);
    used_ += size;
    close(start);
  }
  template <class T>
  void attribute(std::uint16_t type, const T& value) {
    attribute(type, &value, sizeof value);
  }
  void text(std::uint16_t type, const char* value) {
    attribute(type, value, std::strlen(value) + 1);
  }
  std::size_t open(std::uint16_t type) {
    std::size_t start = used_;
    place<rtattr>()->rta_type = type;
    return start;
  }
  void close(std::size_t start) {
    auto size = static_cast<std::uint16_t>(used_ - start);
    std::memcpy(buffer_.data() + start, &size, sizeof size);
    used_ = (used_ + 3U) & ~std::size_t{3};
    finish_length();
  }
  template <class T>
  T* place() {
    auto* at = reinterpret_cast<T*>(buffer_.data() + used_);
    used_ += sizeof(T);
    return at;
  }

  // 0, or the first error of the batch in errno.
  int send(int route_socket) const {
    if (::send(route_socket, buffer_.data(), used_, 0) < 0) return -1;
    int problem = 0;
    alignas(nlmsghdr) std::array<char, 8192> answer{};
    for (std::uint32_t seen = 0; seen < count_;) {
      ssize_t size = ::recv(route_socket, answer.data(), answer.size(), 0);
      if (size < 0) return -1;
      std::size_t at = 0;
      while (at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size)) {
        auto* head = reinterpret_cast<nlmsghdr*>(answer.data() + at);
        at += (head->nlmsg_len + 3U) & ~std::size_t{3};
        if (head->nlmsg_type != NLMSG_ERROR) continue;
        ++seen;
        int code = static_cast<nlmsgerr*>(NLMSG_DATA(head))->error;
        if (code != 0 && problem == 0) problem = -code;
      }
    }
    errno = problem;
    return problem == 0 ? 0 : -1;
  }

 private:
  void finish_length() {
    auto size = static_cast<std::uint32_t>(used_ - message_);
    std::memcpy(buffer_.data() + message_, &size, sizeof size);
  }

  alignas(nlmsghdr) std::array<char, 4096> buffer_{};
  std::size_t used_ = 0;
  std::size_t message_ = 0;
  std::uint32_t count_ = 0;
};

// Only an existing link takes this: refused with EAFNOSUPPORT while the link is made.
void no_ipv6_address(Batch& batch) {
  std::size_t spec = batch.open(IFLA_AF_SPEC);
  std::size_t inet6 = batch.open(AF_INET6);
  batch.attribute(IFLA_INET6_ADDR_GEN_MODE, std::uint8_t{IN6_ADDR_GEN_MODE_NONE});
  batch.close(inet6);
  batch.close(spec);
}

void one_queue(Batch& batch) {
  batch.attribute(IFLA_NUM_TX_QUEUES, std::uint32_t{1});
  batch.attribute(IFLA_NUM_RX_QUEUES, std::uint32_t{1});
}

void add_veth(Batch& batch, std::uint32_t number, int index, int netns) {
  auto* link = batch.begin<ifinfomsg>(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  link->ifi_index = index;
  std::array<char, IFNAMSIZ> name{};
  std::snprintf(name.data(), name.size(), "s%u", number);
  batch.text(IFLA_IFNAME, name.data());
  batch.attribute(IFLA_ADDRESS, switch_mac(number));
  one_queue(batch);
  std::size_t info = batch.open(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "veth");
  std::size_t data = batch.open(IFLA_INFO_DATA);
  std::size_t peer = batch.open(VETH_INFO_PEER);
  batch.place<ifinfomsg>()->ifi_index = kEthIndex;
  batch.text(IFLA_IFNAME, "eth0");
  batch.attribute(IFLA_ADDRESS, inner_mac(number));
  batch.attribute(IFLA_NET_NS_FD, netns);
  one_queue(batch);
  batch.close(peer);
  batch.close(data);
  batch.close(info);
}

void set_up(Batch& batch, int index) {
  auto* link = batch.begin<ifinfomsg>(RTM_NEWLINK, 0);
  link->ifi_index = index;
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  if (index != kLoopbackIndex) no_ipv6_address(batch);
}

// `destination` 0 = default; `via` 0 = on the link.
void add_route(Batch& batch, std::uint32_t destination, std::uint32_t via, int index) {
  auto* route = batch.begin<rtmsg>(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  route->rtm_family = AF_INET;
  route->rtm_dst_len = destination == 0 ? 0 : 32;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = via == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  if (destination != 0) batch.attribute(RTA_DST, htonl(destination));
  if (via != 0) batch.attribute(RTA_GATEWAY, htonl(via));
  batch.attribute(RTA_OIF, index);
}

void add_neighbour(Batch& batch, std::uint32_t address, const Mac& mac, int index) {
  auto* neighbour = batch.begin<ndmsg>(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  neighbour->ndm_family = AF_INET;
  neighbour->ndm_ifindex = index;
  neighbour->ndm_state = NUD_PERMANENT;
  batch.attribute(NDA_DST, htonl(address));
  batch.attribute(NDA_LLADDR, mac);
}

}  // namespace

base::UniqueFd open_route_socket() {
  return base::UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

FailedStep make_link(int route_socket, std::uint32_t number, int netns) {
  int index = kFirstLinkIndex + static_cast<int>(number);
  Batch batch;
  add_veth(batch, number, index, netns);
  set_up(batch, index);
  add_route(batch, kFirstAddress + number, 0, index);
  add_neighbour(batch, kFirstAddress + number, inner_mac(number), index);
  return batch.send(route_socket) == 0 ? nullptr : "veth, route, neighbour";
}

FailedStep configure_inside(int route_socket, std::uint32_t number) {
  Batch batch;
  set_up(batch, kLoopbackIndex);
  auto* address = batch.begin<ifaddrmsg>(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  address->ifa_family = AF_INET;
  address->ifa_prefixlen = 32;
  address->ifa_index = kEthIndex;
  batch.attribute(IFA_LOCAL, htonl(kFirstAddress + number));
  batch.attribute(IFA_ADDRESS, htonl(kFirstAddress + number));
  set_up(batch, kEthIndex);
  add_neighbour(batch, kGateway, switch_mac(number), kEthIndex);
  add_route(batch, kGateway, 0, kEthIndex);
  add_route(batch, 0, kGateway, kEthIndex);
  return batch.send(route_socket) == 0 ? nullptr : "eth0 and lo";
}

}  // namespace bench
