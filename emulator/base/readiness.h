// Waiting for a descriptor that is only looked at, never read: a pidfd, which becomes readable when
// its process has ended.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>

namespace base {

// Until it is readable. Asio's own wait may end before: it hands the readiness of a descriptor that
// was closed a moment ago to the one that got its entry in the reactor, which is nothing to
// somebody who reads and finds EAGAIN, and the end of a process to somebody who does not read.
boost::asio::awaitable<boost::system::error_code> until_readable(
    boost::asio::posix::stream_descriptor& descriptor);

}  // namespace base
