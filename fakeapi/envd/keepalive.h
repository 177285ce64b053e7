// How often a stream that has nothing to say says that it is alive (contract-envd 2.2). Used by the
// process and watcher services. Pure.
#pragma once

#include <chrono>

#include "fakeapi/http/message.h"

namespace fakeapi::envd {

// Of Keepalive-Ping-Interval, in whole seconds; 90 when it is missing, not a number or not
// positive.
std::chrono::seconds keepalive_interval(const http::Headers& headers);

}  // namespace fakeapi::envd
