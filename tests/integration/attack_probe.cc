// What an attacker would run: sends one kind of traffic and says what came of it. Static, so that
// it runs in any root file system; the tests start it as root in a sandbox and as the machine's
// root in the sandbox's network namespace. Sends nothing that its arguments do not name.
//
//   attack_probe packet KEY=VALUE...   a packet made by hand: via=ip|frame proto=N to=A [from=A]
//                                      [port=N] [sport=N] [ports=N] [flags=N] [cut=N] [mac=HEX]
//                                      [dmac=HEX] [about=A:PORT] [route=A]
//   attack_probe udp ADDRESS PORT      from an ordinary socket; "answer" or "silence"
//   attack_probe tcp ADDRESS PORT [TEXT]            "data N", "eof", "reset", "silence" or the
//   error of connect attack_probe tls ADDRESS PORT NAME PER_RECORD   the same with a ClientHello
//   attack_probe udp6 ADDRESS PORT | frame6 | vsock32
//
// Exit status: 0 it left the socket (or was answered), 77 the kernel refused, 1 a mistake in the
// arguments.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tests/integration/attack_packets.h"

namespace attack {
namespace {

constexpr int kRefused = 77;
constexpr int kPatience = 1000;  // ms
constexpr const char* kLink = "eth0";

int refused(const char* what) {
  std::printf("refused: %s: %s\n", what, std::strerror(errno));
  return kRefused;
}

std::uint32_t address_of(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) {
    std::fprintf(stderr, "not an address: %s\n", text.c_str());
    std::exit(1);
  }
  return ntohl(address.s_addr);
}

sockaddr_in endpoint(const std::string& address, int port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  where.sin_addr.s_addr = htonl(address_of(address));
  return where;
}

std::uint32_t own_address() {
  int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, kLink, IFNAMSIZ - 1);
  if (::ioctl(socket, SIOCGIFADDR, &request) != 0) return 0;
  ::close(socket);
  sockaddr_in address{};
  std::memcpy(&address, &request.ifr_addr, sizeof address);
  return ntohl(address.sin_addr.s_addr);
}

std::array<std::uint8_t, 6> own_mac() {
  int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, kLink, IFNAMSIZ - 1);
  std::array<std::uint8_t, 6> mac{};
  if (::ioctl(socket, SIOCGIFHWADDR, &request) == 0)
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  ::close(socket);
  return mac;
}

std::array<std::uint8_t, 6> mac_of(const std::string& hex) {
  std::array<std::uint8_t, 6> mac{};
  for (std::size_t i = 0; i < mac.size() && i * 2 + 1 < hex.size(); ++i)
    mac[i] = static_cast<std::uint8_t>(std::strtoul(hex.substr(i * 2, 2).c_str(), nullptr, 16));
  return mac;
}

using Options = std::map<std::string, std::string>;

std::string get(const Options& options, const std::string& key, const std::string& otherwise = "") {
  auto found = options.find(key);
  return found == options.end() ? otherwise : found->second;
}

// Sends Ethernet frames past everything that the namespace's own rules could see.
int send_frames(const std::vector<Bytes>& packets, const Options& options, std::uint16_t type) {
  int socket = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (socket < 0) return refused("packet socket");
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_ifindex = static_cast<int>(::if_nametoindex(kLink));
  link.sll_halen = 6;
  auto source = options.contains("mac") ? mac_of(get(options, "mac")) : own_mac();
  auto target = mac_of(get(options, "dmac", "02534c000001"));
  for (const Bytes& packet : packets) {
    Bytes frame(target.begin(), target.end());
    frame.insert(frame.end(), source.begin(), source.end());
    put16(frame, type);
    frame.insert(frame.end(), packet.begin(), packet.end());
    // A flood may be faster than the link: what finds its queue full is sent again.
    for (int attempt = 0;; ++attempt) {
      if (::sendto(socket, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&link),
                   sizeof link) >= 0) {
        break;
      }
      if (errno != ENOBUFS || attempt == 1000) return refused("send a frame");
      ::usleep(1000);
    }
  }
  return 0;
}

int send_raw(const std::vector<Bytes>& packets, const std::string& target) {
  int socket = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (socket < 0) return refused("raw socket");
  int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  sockaddr_in where = endpoint(target, 0);
  for (const Bytes& packet : packets) {
    if (::sendto(socket, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&where),
                 sizeof where) < 0) {
      return refused("send a packet");
    }
  }
  return 0;
}

int send_packet(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments) {
    auto equals = argument.find('=');
    options[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  Packet packet;
  packet.source = options.contains("from") ? address_of(get(options, "from")) : own_address();
  packet.target = address_of(get(options, "to"));
  packet.protocol = static_cast<std::uint8_t>(std::atoi(get(options, "proto", "17").c_str()));
  packet.source_port =
      static_cast<std::uint16_t>(std::atoi(get(options, "sport", "40000").c_str()));
  packet.target_port = static_cast<std::uint16_t>(std::atoi(get(options, "port", "7777").c_str()));
  packet.tcp_flags = static_cast<std::uint8_t>(std::atoi(get(options, "flags", "2").c_str()));
  if (std::string about = get(options, "about"); !about.empty()) {
    // An ICMP error about a datagram from the target's echo port to about's port.
    auto colon = about.find(':');
    Packet quoted;
    quoted.source = packet.target;
    quoted.target = address_of(about.substr(0, colon));
    quoted.source_port = packet.target_port;
    quoted.target_port = static_cast<std::uint16_t>(std::atoi(about.c_str() + colon + 1));
    packet.inner = ipv4(quoted, payload_of(quoted));
  }
  if (std::string route = get(options, "route"); !route.empty()) {
    packet.options = {0x83, 7, 4};  // loose source route
    put32(packet.options, address_of(route));
    packet.options.push_back(0);
  }
  std::vector<Bytes> packets;
  for (int i = 0; i < std::atoi(get(options, "ports", "1").c_str()); ++i) {
    for (Bytes& piece :
         packets_of(packet, static_cast<std::size_t>(std::atoi(get(options, "cut", "0").c_str()))))
      packets.push_back(std::move(piece));
    ++packet.source_port;
    ++packet.id;
  }
  if (get(options, "via") == "frame") return send_frames(packets, options, ETH_P_IP);
  return send_raw(packets, get(options, "to"));
}

int listen_for_answer(int socket, const char* on_data) {
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, kPatience) <= 0) {
    std::puts("silence");
    return 0;
  }
  std::array<char, 4096> buffer{};
  auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (count > 0) std::printf("%s %zd\n", on_data, count);
  if (count == 0) std::puts("eof");
  if (count < 0) std::puts(errno == ECONNRESET ? "reset" : std::strerror(errno));
  return 0;
}

int send_udp(const std::string& address, int port) {
  int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  sockaddr_in where = endpoint(address, port);
  if (::sendto(socket, "attack", 6, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0)
    return refused("send a datagram");
  return listen_for_answer(socket, "answer");
}

int talk_tcp(const std::string& address, int port, const std::string& bytes) {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in where = endpoint(address, port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 &&
      errno != EINPROGRESS) {
    return refused("connect");
  }
  pollfd wait{socket, POLLOUT, 0};
  if (::poll(&wait, 1, kPatience) <= 0) {
    std::puts("no connection");
    return 0;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    std::printf("no connection: %s\n", std::strerror(error));
    return 0;
  }
  // A closed peer is found out by reading.
  if (!bytes.empty() && ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
    return listen_for_answer(socket, "data");
  return listen_for_answer(socket, "data");
}

int send_udp6(const std::string& address, int port) {
  int socket = ::socket(AF_INET6, SOCK_DGRAM, 0);
  sockaddr_in6 where{};
  where.sin6_family = AF_INET6;
  where.sin6_port = htons(static_cast<std::uint16_t>(port));
  where.sin6_scope_id = ::if_nametoindex(kLink);
  if (::inet_pton(AF_INET6, address.c_str(), &where.sin6_addr) != 1) return 1;
  if (::sendto(socket, "attack", 6, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0)
    return refused("send a datagram");
  return listen_for_answer(socket, "answer");
}

// UDP over IPv6 from a made-up link-local address to all nodes, and to a global address.
int send_frames6() {
  std::vector<Bytes> packets;
  for (const char* target : {"ff02::1", "fe80::53:4cff:fe00:1", "2001:4860:4860::8888"}) {
    Bytes packet = {0x60, 0, 0, 0, 0, 14, 17, 64};
    std::array<std::uint8_t, 16> address{};
    ::inet_pton(AF_INET6, "fe80::bad", address.data());
    packet.insert(packet.end(), address.begin(), address.end());
    ::inet_pton(AF_INET6, target, address.data());
    packet.insert(packet.end(), address.begin(), address.end());
    Bytes payload = payload_of(Packet());
    packet.insert(packet.end(), payload.begin(), payload.end());
    packets.push_back(std::move(packet));
  }
  return send_frames(packets, {}, ETH_P_IPV6);
}

// socket(AF_VSOCK) through the call table of 32-bit programs, where it is one of many behind
// socketcall and a filter cannot see the family.
int open_vsock32() {
#if defined(__x86_64__)
  void* low =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) return refused("memory");
  auto* words = static_cast<std::uint32_t*>(low);
  words[0] = AF_VSOCK;
  words[1] = SOCK_STREAM;
  words[2] = 0;
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(102L), "b"(1L), "c"(low)
               : "memory", "r8", "r9", "r10", "r11");
  int code = static_cast<int>(result);
  if (code >= 0) {
    std::puts("a socket to the hypervisor");
    return 0;
  }
  errno = -code;
  return refused("socketcall");
#else
  return kRefused;
#endif
}

int run(const std::vector<std::string>& words) {
  std::string what = words.empty() ? "" : words[0];
  auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
  auto number = [&](std::size_t i) { return std::atoi(word(i).c_str()); };
  if (what == "packet") return send_packet({words.begin() + 1, words.end()});
  if (what == "udp") return send_udp(word(1), number(2));
  if (what == "tcp") return talk_tcp(word(1), number(2), word(3));
  if (what == "tls") {
    return talk_tcp(word(1), number(2), client_hello(word(3), static_cast<std::size_t>(number(4))));
  }
  if (what == "udp6") return send_udp6(word(1), number(2));
  if (what == "frame6") return send_frames6();
  if (what == "vsock32") return open_vsock32();
  std::fputs("attack_probe: what?\n", stderr);
  return 1;
}

}  // namespace
}  // namespace attack

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  return attack::run({argv + 1, argv + argc});
}
