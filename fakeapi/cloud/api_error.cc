#include "fakeapi/cloud/api_error.h"

#include "fakeapi/cloud/responses.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Error;

int http_status(Errc code) {
  switch (code) {
    case Errc::kInvalidArgument:
    case Errc::kFailedPrecondition:
      return 400;
    case Errc::kUnauthenticated:
      return 401;
    case Errc::kPermissionDenied:
      return 403;
    case Errc::kNotFound:
      return 404;
    case Errc::kAlreadyExists:
    case Errc::kConflict:
      return 409;
    case Errc::kTooLarge:
      return 413;
    case Errc::kResourceExhausted:
      return 429;
    case Errc::kCanceled:
      return 499;
    case Errc::kInternal:
      return 500;
    case Errc::kUnimplemented:
      return 501;
    case Errc::kUnavailable:
      return 503;
    case Errc::kDeadlineExceeded:
      return 504;
    case Errc::kNoSpace:
      return 507;
  }
  return 500;
}

http::Response json_response(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

http::Response no_content() {
  http::Response response;
  response.status = 204;
  return response;
}

http::Response error_response(int status, std::string_view message) {
  return json_response(status, error_json(status, message));
}

http::Response error_response(const Error& error) {
  return error_response(http_status(error.code()), error.message());
}

namespace {

std::string quoted(std::string_view id) {
  return "\"" + std::string(id) + "\"";
}

}  // namespace

Error sandbox_not_found(std::string_view id) {
  return {Errc::kNotFound,
          "Sandbox " + quoted(id) + " doesn't exist or you don't have access to it"};
}

Error already_paused(std::string_view id) {
  return {Errc::kConflict,
          "Error pausing sandbox - sandbox '" + std::string(id) + "' is already paused"};
}

Error already_running(std::string_view id) {
  return {Errc::kConflict, "Sandbox " + std::string(id) + " is already running"};
}

Error is_paused(std::string_view id) {
  return {Errc::kConflict, "Sandbox " + quoted(id) + " is paused"};
}

Error cannot_be_forked(std::string_view id) {
  return {Errc::kConflict,
          "Sandbox '" + std::string(id) + "' is paused and cannot be forked; resume it first"};
}

Error network_is_fixed(std::string_view id) {
  return {Errc::kConflict, "Sandbox " + quoted(id) +
                               ": network settings are fixed once a sandbox exists "
                               "(--network-immutable)"};
}

http::Response too_many_creates(std::chrono::seconds retry_after) {
  http::Response response =
      error_response(429, "Rate limit exceeded: too many sandboxes are being created");
  response.headers.add("Retry-After", std::to_string(retry_after.count()));
  return response;
}

base::Failure bad_parameter(std::string_view name, std::string_view why) {
  return base::fail(Errc::kInvalidArgument, "validation error: parameter \"" + std::string(name) +
                                                "\" in query has an error: " + std::string(why));
}

Error not_built(std::string_view what, std::string_view reason) {
  std::string message = std::string(what) + " is not built yet in Sandlot " SANDLOT_VERSION;
  if (!reason.empty()) message.append(": ").append(reason);
  return {Errc::kUnimplemented, std::move(message)};
}

}  // namespace fakeapi::cloud
