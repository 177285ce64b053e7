// Complete responses of the control plane: errors, JSON, 204. The only place where an Errc becomes
// an HTTP status. Used by the handlers and cloud_api; knows no route. An error always has a JSON
// body with an integer `code` equal to the status: the SDKs decide by it, and take an empty error
// for a success (contract-novita 2.0).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

int http_status(base::Errc code);

http::Response json_response(int status, std::string body);
http::Response no_content();
http::Response error_response(int status, std::string_view message);
http::Response error_response(const base::Error& error);

// The cloud's sentences about one sandbox (e2b infra, api/internal/utils/messages.go and the pause
// and resume handlers). The routes use these whatever the service said, so that every route speaks
// with one voice.
base::Error sandbox_not_found(std::string_view id);
base::Error already_paused(std::string_view id);
base::Error already_running(std::string_view id);
base::Error is_paused(std::string_view id);
base::Error cannot_be_forked(std::string_view id);  // a paused one
// Sandlot's own, with --network-immutable.
base::Error network_is_fixed(std::string_view id);

// 429, with the time after which a client may try again (E2B's SDKs do so by themselves).
http::Response too_many_creates(std::chrono::seconds retry_after);

// A query that cannot be understood: 400, in the words of the cloud's schema check.
base::Failure bad_parameter(std::string_view name, std::string_view why);

// "<what> is not built yet in Sandlot <version>[: reason]": the 501 of routes and options that are
// not there yet.
base::Error not_built(std::string_view what, std::string_view reason = {});

}  // namespace fakeapi::cloud
