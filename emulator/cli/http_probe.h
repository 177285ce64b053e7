// One plain request, blocking: how `ready` and `explain` ask a running emulator, in a process that
// needs no event loop for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "emulator/base/result.h"

namespace emulator::cli {

// The status code of GET http://<host>:<port><path>. `host` is a numeric address. Errors: the errno
// of connect, kDeadlineExceeded, kUnavailable when what answers is not HTTP.
base::Result<int> http_status(const std::string& host,
                              std::uint16_t port,
                              const std::string& path,
                              std::chrono::milliseconds limit);

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// POST of a JSON body. Errors: as above; kTooLarge over 16
// MiB.
base::Result<HttpAnswer> http_post(const std::string& host,
                                   std::uint16_t port,
                                   const std::string& path,
                                   const std::string& body,
                                   std::chrono::milliseconds limit);

}  // namespace emulator::cli
