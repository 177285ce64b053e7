// Listens on the fake internet's link, before any service: every SYN, datagram and other packet
// that arrives goes to the canary, whether or not something is listening. TCP beyond the SYN stays
// out. Used by FakeInternet.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "emulator/fakenet/canary.h"

namespace emulator::fakenet {

// A packet socket on the link, with its filter. Call inside the network namespace.
base::Result<base::UniqueFd> open_packet_socket(int link_index);

// One IPv4 packet (from its IP header on) into the canary; `size` is what arrived, `bytes` may be
// its beginning. Pure but for the canary; malformed packets count as protocol packets to port 0.
void record_packet(std::string_view bytes, std::size_t size, Canary& canary);

class PacketWatch {
 public:
  PacketWatch(boost::asio::any_io_executor executor, base::UniqueFd socket, Canary& canary);

  // Until cancelled.
  boost::asio::awaitable<void> run();
  // Takes what has arrived so far: before the canary is read or cleared.
  void drain();

 private:
  boost::asio::posix::stream_descriptor socket_;
  Canary& canary_;
};

}  // namespace emulator::fakenet
