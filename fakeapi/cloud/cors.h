// Cross-origin answers for browsers: any page may call the control plane, which authenticates by
// header and never by cookie. Pure.
#pragma once

#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

// 204 for OPTIONS: any method, and the headers that the browser asked for.
http::Response preflight_response(const http::RequestHead& head);

// Adds what lets a page read this response, the paging headers included.
void allow_any_origin(http::Headers& headers);

}  // namespace fakeapi::cloud
