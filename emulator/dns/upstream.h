// The resolvers of the machine, and one question put to them. Used by the forwarder and by the
// embedded server. No cache: the machine's resolver has one.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/udp.hpp>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "emulator/dns/message.h"

namespace emulator::dns {

using Servers = std::vector<boost::asio::ip::udp::endpoint>;
using ServerList = std::function<Servers()>;  // asked for every query

// The `nameserver` lines of a resolv.conf, at most three as in glibc; those that are no address are
// left out.
Servers parse_resolv_conf(std::string_view text);

// The machine's list, read again when the file has changed. A missing file is an empty list.
class HostResolvers {
 public:
  explicit HostResolvers(std::filesystem::path file = "/etc/resolv.conf")
      : file_(std::move(file)) {}
  // Blocks for one stat(2).
  const Servers& servers();

 private:
  std::filesystem::path file_;
  struct ::stat seen_ {};
  Servers servers_;
};

// Opens the sockets that ask (open_socket_in of netfilter/network.h, say). Empty: in the namespace
// of the process.
using OpenSocket = std::function<base::Result<base::UniqueFd>(int family, int type)>;

enum class Transport { kUdp, kTcp };

// Puts `query` to the servers in turn until one answers; `limit` is for all of them together. The
// reply carries the query's id. Errors: kUnavailable (no server, or none answered),
// kDeadlineExceeded.
base::Task<Bytes> ask(Bytes query,
                      Servers servers,
                      Transport transport,
                      std::chrono::milliseconds limit,
                      OpenSocket open = nullptr);

}  // namespace emulator::dns
