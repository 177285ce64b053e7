// The server of the template `httpbin`: says back what it was asked, in the shapes that go-httpbin
// gives its answers (https://httpbingo.org): header values and arguments are lists. For tests of
// clients and of whatever lies between. Served by the agent on port 8080; keeps nothing.
#pragma once

#include <cstdint>

#include <boost/asio/awaitable.hpp>

#include "fakeapi/http/connection.h"

namespace fakeapi::httpbin {

inline constexpr std::uint16_t kPort = 8080;

// Answers one request: a handler for http::serve_connection.
boost::asio::awaitable<void> answer(const http::RequestHead& head,
                                    http::ServerConnection& connection);

}  // namespace fakeapi::httpbin
