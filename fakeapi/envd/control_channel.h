// The agent's end of the control channel: a SOCK_SEQPACKET socket that brings configurations and,
// by closing, the end. Used by the agent alone.
#pragma once

#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "emulator/base/result.h"

namespace fakeapi::envd {

class ControlChannel {
 public:
  // Takes the descriptor.
  ControlChannel(boost::asio::any_io_executor executor, int fd);
  base::Result<> send(std::string_view message);
  // The next message; nullopt when the other end has closed.
  base::Task<std::optional<std::string>> receive();

 private:
  boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace fakeapi::envd
