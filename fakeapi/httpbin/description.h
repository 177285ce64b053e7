// What httpbin says about a request. Pure; used by httpbin.cc.
#pragma once

#include <string>
#include <string_view>

#include "fakeapi/http/message.h"

namespace fakeapi::httpbin {

// As Go's servers name a header: "x-test-TOKEN" is "X-Test-Token".
std::string canonical_name(std::string_view name);

// {"headers": {name: [value, ...]}}, the host among them.
std::string headers_json(const http::RequestHead& head);
// The whole request; `body` only with a method that may have one.
std::string request_json(const http::RequestHead& head, std::string_view body);
// {"cookies": {name: value}}
std::string cookies_json(const http::RequestHead& head);
// The arguments of the query: {name: [value, ...]}.
std::string arguments_json(const http::RequestHead& head);
// {"key": "value"}
std::string pair_json(std::string_view key, std::string_view value);

// Standard or URL alphabet, with or without padding; what is no base64 is an empty text.
std::string decode_base64(std::string_view text);

}  // namespace fakeapi::httpbin
