#include "netfilter/netlink.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

namespace netfilter {

namespace {

constexpr std::uint16_t kCreate = NLM_F_CREATE | NLM_F_EXCL;

std::size_t aligned(std::size_t size) {
  return (size + 3U) & ~std::size_t{3};
}

// What the kernel says in words, when it does (NETLINK_EXT_ACK); empty otherwise.
std::string explanation(const nlmsghdr& header) {
  constexpr unsigned kWanted = NLM_F_ACK_TLVS | NLM_F_CAPPED;  // attributes right after the error
  if ((header.nlmsg_flags & kWanted) != kWanted) return {};
  const auto* start = reinterpret_cast<const std::byte*>(&header);
  std::size_t at = aligned(sizeof(nlmsghdr)) + sizeof(nlmsgerr);
  while (at + sizeof(nlattr) <= header.nlmsg_len) {
    nlattr attribute{};
    std::memcpy(&attribute, start + at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > header.nlmsg_len) break;
    if (attribute.nla_type == NLMSGERR_ATTR_MSG) {
      std::string text(reinterpret_cast<const char*>(start + at + sizeof attribute),
                       attribute.nla_len - sizeof attribute);
      return text.c_str();  // without the terminator
    }
    at += aligned(attribute.nla_len);
  }
  return {};
}

}  // namespace

template <class Header>
void NetlinkBatch::begin(std::string what,
                         std::uint16_t type,
                         std::uint16_t flags,
                         const Header& header) {
  requests_.push_back({std::move(what), bytes_.size(), 0});
  nlmsghdr message{};
  message.nlmsg_type = type;
  message.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  message.nlmsg_seq = static_cast<std::uint32_t>(requests_.size());
  append(&message, sizeof message);
  append(&header, sizeof header);
}

void NetlinkBatch::append(const void* data, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(data);
  bytes_.insert(bytes_.end(), first, first + size);
  bytes_.resize(aligned(bytes_.size()));
}

void NetlinkBatch::attribute(std::uint16_t type, const void* data, std::size_t size) {
  rtattr header{};
  header.rta_type = type;
  header.rta_len = static_cast<std::uint16_t>(sizeof header + size);
  append(&header, sizeof header);
  append(data, size);
}

void NetlinkBatch::attribute(std::uint16_t type, std::uint32_t value) {
  attribute(type, &value, sizeof value);
}

std::size_t NetlinkBatch::open_nested(std::uint16_t type) {
  std::size_t at = bytes_.size();
  attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), nullptr, 0);
  return at;
}

void NetlinkBatch::close_nested(std::size_t at) {
  auto length = static_cast<std::uint16_t>(bytes_.size() - at);
  std::memcpy(bytes_.data() + at + offsetof(rtattr, rta_len), &length, sizeof length);
}

void NetlinkBatch::end() {
  std::size_t at = requests_.back().at;
  auto length = static_cast<std::uint32_t>(bytes_.size() - at);
  std::memcpy(bytes_.data() + at + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

void NetlinkBatch::add_veth(const VethEnd& end, const VethEnd& peer, int peer_netns) {
  ifinfomsg up{};
  up.ifi_flags = IFF_UP;
  up.ifi_change = IFF_UP;
  ifinfomsg outer = up;
  outer.ifi_index = end.index;
  ifinfomsg inner{};  // an end cannot open before it has a peer, so this one is born down
  inner.ifi_index = peer.index;

  begin("create veth " + end.name, RTM_NEWLINK, kCreate, outer);
  auto common = [this](const VethEnd& which) {
    attribute(IFLA_IFNAME, which.name.c_str(), which.name.size() + 1);
    attribute(IFLA_ADDRESS, which.mac.data(), which.mac.size());
    attribute(IFLA_NUM_TX_QUEUES, 1U);
    attribute(IFLA_NUM_RX_QUEUES, 1U);
  };
  common(end);
  std::size_t info = open_nested(IFLA_LINKINFO);
  constexpr std::string_view kKind = "veth";
  attribute(IFLA_INFO_KIND, kKind.data(), kKind.size());
  std::size_t data = open_nested(IFLA_INFO_DATA);
  std::size_t other = open_nested(VETH_INFO_PEER);
  append(&inner, sizeof inner);
  common(peer);
  attribute(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_netns));
  close_nested(other);
  close_nested(data);
  close_nested(info);
  this->end();
}

void NetlinkBatch::set_link_up(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  begin("link " + std::to_string(index) + " up", RTM_NEWLINK, 0, link);
  end();
}

void NetlinkBatch::delete_link(int index) {
  ifinfomsg link{};
  link.ifi_index = index;
  begin("delete link " + std::to_string(index), RTM_DELLINK, 0, link);
  end();
}

void NetlinkBatch::add_address(int index, const Ipv4& address, std::uint8_t prefix_length) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = prefix_length;
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  header.ifa_index = static_cast<std::uint32_t>(index);
  begin("add address " + to_string(address), RTM_NEWADDR, kCreate, header);
  attribute(IFA_LOCAL, address.data(), address.size());
  attribute(IFA_ADDRESS, address.data(), address.size());
  end();
}

void NetlinkBatch::add_host_route(int index, const Ipv4& destination, const Ipv4& source) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_dst_len = 32;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_LINK;
  route.rtm_type = RTN_UNICAST;
  begin("add route to " + to_string(destination), RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
        route);
  attribute(RTA_DST, destination.data(), destination.size());
  attribute(RTA_PREFSRC, source.data(), source.size());
  attribute(RTA_OIF, static_cast<std::uint32_t>(index));
  end();
}

void NetlinkBatch::add_default_route(int index, const Ipv4& gateway) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  route.rtm_flags = RTNH_F_ONLINK;
  begin("add default route", RTM_NEWROUTE, kCreate, route);
  attribute(RTA_GATEWAY, gateway.data(), gateway.size());
  attribute(RTA_OIF, static_cast<std::uint32_t>(index));
  end();
}

void NetlinkBatch::add_local_default(int index) {
  rtmsg route{};
  route.rtm_family = AF_INET;
  // Not in the table of local addresses: that one is asked before the routes to neighbours.
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_HOST;
  route.rtm_type = RTN_LOCAL;
  begin("add local default route", RTM_NEWROUTE, kCreate, route);
  attribute(RTA_OIF, static_cast<std::uint32_t>(index));
  end();
}

namespace {

// A default route cannot be beaten by another one with the same metric, but by two halves.
constexpr std::array<Ipv4, 2> kHalves = {{{0, 0, 0, 0}, {128, 0, 0, 0}}};

rtmsg blackhole() {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_dst_len = 1;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_BLACKHOLE;
  return route;
}

}  // namespace

void NetlinkBatch::add_blackholes() {
  for (const Ipv4& half : kHalves) {
    begin("add blackhole", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, blackhole());
    attribute(RTA_DST, half.data(), half.size());
    end();
  }
}

void NetlinkBatch::delete_blackholes() {
  for (const Ipv4& half : kHalves) {
    begin("delete blackhole", RTM_DELROUTE, 0, blackhole());
    requests_.back().ignored = ESRCH;
    attribute(RTA_DST, half.data(), half.size());
    end();
  }
}

void NetlinkBatch::add_neighbour(int index, const Ipv4& address, const Mac& mac) {
  ndmsg neighbour{};
  neighbour.ndm_family = AF_INET;
  neighbour.ndm_ifindex = index;
  neighbour.ndm_state = NUD_PERMANENT;
  neighbour.ndm_type = RTN_UNICAST;
  begin("add neighbour " + to_string(address), RTM_NEWNEIGH, kCreate, neighbour);
  attribute(NDA_DST, address.data(), address.size());
  attribute(NDA_LLADDR, mac.data(), mac.size());
  end();
}

namespace {

tcmsg root_of(int index) {
  tcmsg queue{};
  queue.tcm_family = AF_UNSPEC;
  queue.tcm_ifindex = index;
  queue.tcm_parent = TC_H_ROOT;
  return queue;
}

}  // namespace

void NetlinkBatch::set_bucket(int index, std::uint64_t bytes_per_second) {
  constexpr std::uint64_t kLeastBurst = 4096;  // more than a frame
  constexpr std::uint64_t kMostBurst = 1U << 20U;
  constexpr std::uint64_t kMostWaiting = 4U << 20U;
  // Twenty milliseconds at once, a fifth of a second in the queue.
  std::uint64_t burst = std::clamp(bytes_per_second / 50, kLeastBurst, kMostBurst);
  std::uint64_t waiting = std::clamp(bytes_per_second / 5, 4 * kLeastBurst, kMostWaiting);
  tcmsg queue = root_of(index);
  queue.tcm_handle = 1U << 16U;
  tc_tbf_qopt bucket{};
  bucket.rate.rate = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bytes_per_second, std::numeric_limits<std::uint32_t>::max()));
  bucket.rate.linklayer = TC_LINKLAYER_ETHERNET;  // the kernel counts; no table of ours
  bucket.limit = static_cast<std::uint32_t>(waiting);
  begin("pace link " + std::to_string(index), RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, queue);
  constexpr std::string_view kKind = "tbf";
  attribute(TCA_KIND, kKind.data(), kKind.size() + 1);
  std::size_t options = open_nested(TCA_OPTIONS);
  attribute(TCA_TBF_PARMS, &bucket, sizeof bucket);
  attribute(TCA_TBF_RATE64, &bytes_per_second, sizeof bytes_per_second);
  attribute(TCA_TBF_BURST, static_cast<std::uint32_t>(burst));
  close_nested(options);
  end();
}

void NetlinkBatch::delete_bucket(int index) {
  begin("unpace link " + std::to_string(index), RTM_DELQDISC, 0, root_of(index));
  requests_.back().ignored = ENOENT;
  end();
}

base::Result<NetlinkSocket> NetlinkSocket::open() {
  base::UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return base::fail_errno("open a netlink socket");
  int on = 1;
  // Both only make answers shorter and clearer; an old kernel may refuse them.
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  timeval limit{10, 0};  // the kernel answers inside sendmsg; this is for the impossible
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) {
    return base::fail_errno("netlink SO_RCVTIMEO");
  }
  return NetlinkSocket(std::move(fd));
}

base::Result<> NetlinkSocket::commit(const NetlinkBatch& batch) {
  if (batch.requests_.empty()) return {};
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  auto sent = ::sendto(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0,
                       reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return base::fail_errno("send netlink requests");

  std::size_t answered = 0;
  base::Result<> outcome;
  alignas(nlmsghdr) std::array<std::byte, 16384>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (answered < batch.requests_.size()) {
    auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("receive netlink answers");
    auto left = static_cast<std::size_t>(count);
    const std::byte* at = buffer.data();
    while (left >= sizeof(nlmsghdr)) {
      const auto* header = reinterpret_cast<const nlmsghdr*>(at);
      if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > left) break;
      bool ours = header->nlmsg_type == NLMSG_ERROR && header->nlmsg_seq >= 1 &&
                  header->nlmsg_seq <= batch.requests_.size() &&
                  header->nlmsg_len >= sizeof(nlmsghdr) + sizeof(nlmsgerr);
      if (ours) {
        ++answered;
        nlmsgerr answer{};
        std::memcpy(&answer, at + aligned(sizeof(nlmsghdr)), sizeof answer);
        const auto& request = batch.requests_[header->nlmsg_seq - 1];
        if (answer.error != 0 && answer.error != -request.ignored && outcome) {
          std::string what = request.what;
          std::string words = explanation(*header);
          if (!words.empty()) what += " (" + words + ")";
          outcome = base::fail(base::os_error(what, -answer.error));
        }
      }
      std::size_t step = std::min(left, aligned(header->nlmsg_len));
      at += step;
      left -= step;
    }
  }
  return outcome;
}

base::Result<bool> local_by_error(int error_number) {
  switch (error_number) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EACCES:
    case EINVAL:
      return false;
    default:
      return base::fail(base::os_error("ask for a route", error_number));
  }
}

base::Result<bool> NetlinkSocket::is_local(const Ipv4& address) {
  NetlinkBatch batch;
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_dst_len = 32;
  batch.begin("route to " + to_string(address), RTM_GETROUTE, 0, route);
  batch.attribute(RTA_DST, address.data(), address.size());
  batch.end();
  // The answer takes the place of the acknowledgement, which would be a second message.
  auto* header = reinterpret_cast<nlmsghdr*>(batch.bytes_.data());
  header->nlmsg_flags = NLM_F_REQUEST;
  header->nlmsg_seq = ++queries_;
  if (::send(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0) < 0)
    return base::fail_errno("ask for a route");

  alignas(nlmsghdr) std::array<std::byte, 4096>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("receive a route");
    nlmsghdr answer{};
    if (static_cast<std::size_t>(count) < sizeof answer) continue;
    std::memcpy(&answer, buffer.data(), sizeof answer);
    if (answer.nlmsg_seq != queries_) continue;
    if (answer.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr refused{};
      std::memcpy(&refused, buffer.data() + aligned(sizeof answer), sizeof refused);
      return local_by_error(-refused.error);
    }
    if (answer.nlmsg_type != RTM_NEWROUTE)
      return base::fail(base::Errc::kInternal, "no answer to the question for a route");
    std::memcpy(&route, buffer.data() + aligned(sizeof answer), sizeof route);
    return route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_BROADCAST;
  }
}

base::Result<std::vector<std::byte>> NetlinkSocket::link_attribute(int index, std::uint16_t type) {
  NetlinkBatch batch;
  ifinfomsg link{};
  link.ifi_index = index;
  batch.begin("state of link " + std::to_string(index), RTM_GETLINK, 0, link);
  batch.end();
  auto* header = reinterpret_cast<nlmsghdr*>(batch.bytes_.data());
  header->nlmsg_flags = NLM_F_REQUEST;  // as in is_local
  header->nlmsg_seq = ++queries_;
  if (::send(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0) < 0)
    return base::fail_errno("ask for a link");

  alignas(nlmsghdr) std::array<std::byte, 16384>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("receive a link");
    auto size = static_cast<std::size_t>(count);
    nlmsghdr answer{};
    if (size < sizeof answer) continue;
    std::memcpy(&answer, buffer.data(), sizeof answer);
    if (answer.nlmsg_seq != queries_) continue;
    if (answer.nlmsg_type != RTM_NEWLINK)
      return base::fail(base::Errc::kNotFound, "there is no link " + std::to_string(index));
    std::size_t at = aligned(sizeof answer) + aligned(sizeof link);
    rtattr attribute{};
    while (at + sizeof attribute <= size) {
      std::memcpy(&attribute, buffer.data() + at, sizeof attribute);
      if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > size) break;
      const std::byte* value = buffer.data() + at + sizeof attribute;
      if (attribute.rta_type == type)
        return std::vector<std::byte>(value, value + attribute.rta_len - sizeof attribute);
      at += aligned(attribute.rta_len);
    }
    return std::vector<std::byte>();
  }
}

base::Result<bool> NetlinkSocket::carries(int index) {
  SANDLOT_TRY(auto state, link_attribute(index, IFLA_OPERSTATE));
  return !state.empty() && std::to_integer<int>(state[0]) == IF_OPER_UP;
}

base::Result<int> NetlinkSocket::peer_of(int index) {
  SANDLOT_TRY(auto value, link_attribute(index, IFLA_LINK));
  int peer = 0;
  if (value.size() != sizeof peer)
    return base::fail(base::Errc::kNotFound, "link " + std::to_string(index) + " has no other end");
  std::memcpy(&peer, value.data(), sizeof peer);
  return peer;
}

}  // namespace netfilter
