#include "fakeapi/cloud/request.h"

#include <algorithm>

#include "emulator/base/deadline.h"
#include "emulator/base/ids.h"

namespace fakeapi::cloud {

using base::Errc;

namespace {

constexpr std::chrono::seconds kBodyLimit{60};

// True when reading the body cannot wait for the client.
bool body_is_here(http::ServerConnection& connection) {
  const http::BodyFraming& framing = connection.head().framing;
  if (framing.kind == http::BodyFraming::Kind::kNone) return true;
  return framing.kind == http::BodyFraming::Kind::kLength &&
         connection.buffer().view().size() >= framing.length;
}

}  // namespace

base::Task<std::string> read_body(http::ServerConnection& connection) {
  if (body_is_here(connection)) co_return co_await connection.read_full_body(kMaxBody);
  auto body =
      co_await base::with_deadline(connection.read_full_body(kMaxBody), kBodyLimit, "request body");
  // What is left of the body would be read as the next request.
  if (!body) connection.close_after_response();
  co_return body;
}

base::Result<std::string> sandbox_id(const http::PathParameters& path) {
  auto found = path.find("sandboxID");
  return sandbox_id(found == path.end() ? std::string() : found->second);
}

base::Result<std::string> sandbox_id(std::string id) {
  id.resize(std::min(id.find('-'), id.size()));
  if (!base::is_sandbox_id(id)) return base::fail(Errc::kInvalidArgument, "Invalid sandbox ID");
  return id;
}

std::string answer_domain(const http::RequestHead& head, const std::string& public_domain) {
  constexpr std::string_view kApi = "api.";
  if (http::iequals(head.host().substr(0, kApi.size()), kApi)) return {};
  return public_domain;
}

}  // namespace fakeapi::cloud
