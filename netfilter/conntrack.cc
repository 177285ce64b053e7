#include "netfilter/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/unique_fd.h"

namespace netfilter {

namespace {

using base::Result;

constexpr std::uint16_t kType = NFNL_SUBSYS_CTNETLINK << 8U;
constexpr std::uint32_t kBySource = 1U << 0U;  // a flag of the filter that no header names

std::size_t aligned(std::size_t size) {
  return (size + 3U) & ~std::size_t{3};
}

// Attributes one after the other; each nested one is made first, as text.
std::string attribute(std::uint16_t type, std::string_view value) {
  nlattr header{};
  header.nla_type = type;
  header.nla_len = static_cast<std::uint16_t>(sizeof header + value.size());
  std::string text(reinterpret_cast<const char*>(&header), sizeof header);
  text += value;
  text.resize(aligned(text.size()));
  return text;
}

std::string nested(std::uint16_t type, std::string_view inside) {
  return attribute(static_cast<std::uint16_t>(type | NLA_F_NESTED), inside);
}

std::string number(std::uint16_t type, std::uint32_t value) {
  return attribute(type, {reinterpret_cast<const char*>(&value), sizeof value});
}

// The value of the first attribute of this type.
std::optional<std::string_view> find(std::string_view attributes, std::uint16_t type) {
  while (attributes.size() >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > attributes.size()) break;
    if ((header.nla_type & NLA_TYPE_MASK) == type)
      return attributes.substr(sizeof header, header.nla_len - sizeof header);
    attributes.remove_prefix(std::min(attributes.size(), aligned(header.nla_len)));
  }
  return std::nullopt;
}

std::string message(std::uint16_t type, std::uint16_t flags, std::string_view attributes) {
  nlmsghdr header{};
  nfgenmsg family{};
  header.nlmsg_type = static_cast<std::uint16_t>(kType | type);
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + sizeof family + attributes.size());
  family.nfgen_family = AF_INET;
  family.version = NFNETLINK_V0;
  std::string text(reinterpret_cast<const char*>(&header), sizeof header);
  text.append(reinterpret_cast<const char*>(&family), sizeof family);
  return text.append(attributes);
}

Result<> send(int socket, const std::string& text) {
  if (::send(socket, text.data(), text.size(), 0) < 0) return base::fail_errno("ask conntrack");
  return {};
}

// Calls `each` with every message up to the end of the answer; the error is the kernel's, as a
// number, 0: none.
template <class Each>
Result<int> receive(int socket, Each each) {
  alignas(nlmsghdr) std::array<char, 32768>
      buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("hear conntrack");
    std::string_view left(buffer.data(), static_cast<std::size_t>(count));
    while (left.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header{};
      std::memcpy(&header, left.data(), sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > left.size()) break;
      std::string_view body = left.substr(sizeof header, header.nlmsg_len - sizeof header);
      if (header.nlmsg_type == NLMSG_DONE) return 0;
      if (header.nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        if (body.size() >= sizeof error) std::memcpy(&error, body.data(), sizeof error);
        return -error;
      }
      if (body.size() >= sizeof(nfgenmsg)) each(body.substr(aligned(sizeof(nfgenmsg))));
      left.remove_prefix(std::min(left.size(), aligned(header.nlmsg_len)));
    }
  }
}

Result<base::UniqueFd> open_socket() {
  base::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return base::fail(base::Errc::kUnimplemented, "the kernel has no nfnetlink");
  timeval limit{10, 0};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
    return base::fail_errno("nfnetlink SO_RCVTIMEO");
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) != 0)
    return base::fail_errno("nfnetlink");
  return socket;
}

}  // namespace

Result<std::size_t> forget_flows_of(const Ipv4& address) {
  SANDLOT_TRY(auto socket, open_socket());
  std::string_view source(reinterpret_cast<const char*>(address.data()), address.size());
  std::string wanted =
      nested(CTA_TUPLE_ORIG, nested(CTA_TUPLE_IP, attribute(CTA_IP_V4_SRC, source))) +
      // A kernel before 5.8 ignores it and lists all.
      nested(CTA_FILTER,
             number(CTA_FILTER_ORIG_FLAGS, kBySource) + number(CTA_FILTER_REPLY_FLAGS, 0));
  std::vector<std::string> flows;  // what names each
  SANDLOT_CHECK(send(socket.get(), message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, wanted)));
  SANDLOT_TRY(int refused, receive(socket.get(), [&](std::string_view flow) {
                auto tuple = find(flow, CTA_TUPLE_ORIG);
                auto ends = tuple ? find(*tuple, CTA_TUPLE_IP) : std::nullopt;
                if (!ends || find(*ends, CTA_IP_V4_SRC) != source) return;
                std::string name = nested(CTA_TUPLE_ORIG, *tuple);
                // A flow of the same name may have taken its place by then.
                if (auto id = find(flow, CTA_ID)) name += attribute(CTA_ID, *id);
                flows.push_back(std::move(name));
              }));
  if (refused != 0) return base::fail(base::Errc::kUnimplemented, "the kernel has no ctnetlink");
  for (const std::string& flow : flows) {
    SANDLOT_CHECK(send(socket.get(), message(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow)));
    SANDLOT_TRY(int error, receive(socket.get(), [](std::string_view) {}));
    if (error != 0 && error != ENOENT) return base::fail(base::os_error("forget a flow", error));
  }
  return flows.size();
}

}  // namespace netfilter
