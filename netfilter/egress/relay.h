// One proxied connection and the moving of its bytes, both ways, with half-close and
// back-pressure. Used by egress_proxy.cc. It decides nothing and dials nothing.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "emulator/base/splice.h"
#include "netfilter/egress/flow.h"

namespace netfilter::egress {

// Why a connection is over.
enum class CloseReason {
  kEnded,           // both sides closed
  kBlocked,         // the policy
  kNotConnected,    // the name did not resolve, or nobody answered where it was dialled
  kReset,           // one side did
  kPolicyChanged,   // the new policy would not let it through
  kSandboxStopped,  // the sandbox, or Sandlot
  kIdle,            // no byte for an hour
};

struct Connection {
  explicit Connection(boost::asio::ip::tcp::socket accepted);

  boost::asio::ip::tcp::socket client;    // accepted in the switch namespace
  boost::asio::ip::tcp::socket upstream;  // opened outside
  Flow flow;
  std::optional<Decision> decision;  // none while the name is awaited
  std::string first_flight;          // read to find the name, not yet passed on
  bool is_changed = false;           // its requests are, by whoever carries it then
  bool is_cut = false;
  std::chrono::steady_clock::time_point last_activity;
  std::uint64_t sent = 0;      // bytes from the sandbox, passed on
  std::uint64_t received = 0;  // bytes to it, that were
  std::optional<Ipv4> dialled;
  CloseReason close_reason = CloseReason::kEnded;
  std::uint64_t mark = 0;  // of FlowEvent
  bool reported = false;   // a FlowEvent was

  // Of whoever has taken the sockets over: resets them.
  std::function<void()> on_cut;

  // Resets both sides at once (RST, not FIN); everything that waits on them ends with an error. The
  // first reason stays.
  void cut(CloseReason reason);
};

using Scratch = std::array<char, 64U << 10U>;

// Shared by all connections of one thread: nothing stays in it across an await, so that an idle
// connection owns no buffer and no pipe.
struct RelayBuffers {
  Scratch scratch;
  base::PipePool pipes;
};

// Moves bytes until both directions have ended: by copying at first, by splice(2) once a direction
// has carried 64 KiB and a pipe is free. An end of file on one side is passed on as a half-close;
// an error on either cuts both. `connection` and `buffers` must outlive the await. Ends early when
// the connection is cut.
boost::asio::awaitable<void> relay(Connection& connection, RelayBuffers& buffers);

}  // namespace netfilter::egress
