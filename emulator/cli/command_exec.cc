#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <random>

#include "emulator/base/unique_fd.h"
#include "emulator/cli/commands.h"

namespace emulator::cli {
namespace {

bool can_bind(const sockaddr_in& address, int type) {
  const base::UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  return socket &&
         ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// A 127.x.y.z whose port 53 nobody has, or "" (not root). Another process may still take it before
// the server does: with 15 million addresses that is no worry, and then the server says so.
std::string free_dns_address() {
  std::random_device random;
  for (int attempt = 0; attempt < 20; ++attempt) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    // Not 127.0.x.y: 127.0.0.53 and 127.0.1.1 belong to others.
    const std::uint32_t middle = 1 + random() % 254;
    address.sin_addr.s_addr =
        htonl((127U << 24U) | (middle << 16U) | (random() % 256 << 8U) | (1 + random() % 254));
    if (!can_bind(address, SOCK_DGRAM) || !can_bind(address, SOCK_STREAM)) continue;
    std::string text(INET_ADDRSTRLEN, '\0');
    ::inet_ntop(AF_INET, &address.sin_addr, text.data(), INET_ADDRSTRLEN);
    return text.c_str();
  }
  return "";
}

}  // namespace

int run_exec(const config::CommandLine& line, const ServeFunction& serve) {
  if (::geteuid() != 0) {
    std::cerr << "sandlot exec needs root (namespaces, mounts): run it with sudo -E" << std::endl;
    return config::kPrivilege;
  }
  config::Options options = line.options;
  // Free ports unless this very command names one: a variable or a file speaks of the emulator that
  // serves.
  for (const config::SettingValue& value : line.values) {
    if (value.setting->name == "port" && value.origin != config::Origin::kFlag) options.port = 0;
    if (value.setting->name == "https-port" && value.origin != config::Origin::kFlag)
      options.https_port.reset();
  }
  // The terminal is the child's: only what went wrong is worth a line between its own.
  if (line.is_default("log-level")) options.log_level = base::log::Level::kWarn;
  base::log::configure(options.log_level, options.log_format);
  const std::string address = free_dns_address();
  if (address.empty()) {
    std::cerr << "sandlot exec: no free 127.x.y.z port 53 for the embedded DNS" << std::endl;
    return config::kPortBusy;
  }
  options.dns_host = address;
  options.dns_port = 53;
  return serve(options, ExecRequest{line.child});
}

}  // namespace emulator::cli
