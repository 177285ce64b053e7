#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "emulator/base/ids.h"
#include "emulator/base/json.h"
#include "emulator/base/posix.h"
#include "fakeapi/envd/directory_tree.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/file_request.h"
#include "fakeapi/envd/path_resolution.h"
#include "fakeapi/envd/upload.h"

#include <stdio.h>

namespace fakeapi::envd {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::size_t kBodyLimit = 4U << 20U;
constexpr std::size_t kCopyPiece = 8U << 20U;

using Outcome = tl::expected<void, HttpError>;

struct Composition {
  std::vector<std::string> sources;
  std::string destination;
  User user;
};

tl::unexpected<HttpError> failure(int status, std::string message) {
  HttpError error;
  error.status = status;
  error.message = std::move(message);
  return tl::unexpected<HttpError>(std::move(error));
}

bool is_full(int error) {
  return error == ENOSPC || error == EDQUOT;
}

tl::unexpected<HttpError> os_failure(const std::string& what, int error) {
  if (is_full(error)) return failure(507, "not enough disk space available");
  return failure(500, what + ": " + errno_words(error));
}

tl::expected<Composition, HttpError> parse_composition(const std::string& text,
                                                       SandboxState& state) {
  json body = base::parse_json<json>(text);
  if (!body.is_object()) return failure(400, "error parsing request body: invalid JSON");
  std::optional<std::string> username;
  if (auto found = body.find("username"); found != body.end() && found->is_string()) {
    username = found->get<std::string>();
  }
  Composition composition;
  auto user = file_user(username, state);
  if (!user) return tl::unexpected<HttpError>(user.error());
  composition.user = std::move(*user);
  auto sources = body.find("source_paths");
  if (sources == body.end() || !sources->is_array() || sources->empty()) {
    return failure(400, "source_paths must not be empty");
  }
  auto destination = body.find("destination");
  if (destination == body.end() || !destination->is_string() ||
      destination->get_ref<const std::string&>().empty()) {
    return failure(400, "destination is required");
  }
  auto resolved = file_path(destination->get<std::string>(), composition.user, state);
  if (!resolved) return tl::unexpected<HttpError>(resolved.error());
  composition.destination = std::move(*resolved);
  for (const json& item : *sources) {
    if (!item.is_string()) return failure(400, "source_paths must be strings");
    auto source = file_path(item.get<std::string>(), composition.user, state);
    if (!source) return tl::unexpected<HttpError>(source.error());
    if (clean_path(*source) == clean_path(composition.destination)) {
      return failure(400, "source path \"" + *source + "\" cannot be the same as destination");
    }
    struct stat info {};
    if (::stat(source->c_str(), &info) != 0) {
      if (errno == ENOENT) return failure(404, "source file not found: " + *source);
      return os_failure("stat " + *source, errno);
    }
    if (!S_ISREG(info.st_mode))
      return failure(400, "source path is not a regular file: " + *source);
    composition.sources.push_back(std::move(*source));
  }
  return composition;
}

asio::awaitable<Outcome> append_file(int to, std::string source) {
  auto executor = co_await asio::this_coro::executor;
  auto from = base::open_file(source, O_RDONLY | O_NONBLOCK);  // it may be a fifo by now
  if (!from) co_return os_failure("open " + source, from.error().os_errno());
  std::string fallback;
  for (;;) {
    ssize_t count = ::copy_file_range(from->get(), nullptr, to, nullptr, kCopyPiece, 0);
    if (count < 0 &&
        (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      fallback.resize(1U << 20U);
      auto got = base::read_some(from->get(), fallback);
      if (!got) co_return os_failure("read " + source, got.error().os_errno());
      auto written = base::write_all(to, std::string_view(fallback).substr(0, *got));
      if (!written) co_return os_failure("write", written.error().os_errno());
      count = static_cast<ssize_t>(*got);
    }
    if (count < 0) co_return os_failure("copy " + source, errno);
    if (count == 0) co_return Outcome();
    co_await asio::post(executor, asio::use_awaitable);
  }
}

// Through a temporary file beside the destination, so that nobody sees half of it.
asio::awaitable<Outcome> compose(Composition composition) {
  auto parents = ensure_directories(parent_path(composition.destination), composition.user.uid,
                                    composition.user.gid);
  if (!parents && is_full(parents.error().os_errno())) {
    co_return failure(507, "not enough disk space available");
  }
  if (!parents) co_return failure(500, "error ensuring directories: " + parents.error().message());
  std::string temporary = composition.destination + ".e2b-compose." + base::make_uuid() + ".tmp";
  auto to = base::open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (!to) co_return os_failure("open " + temporary, to.error().os_errno());
  Outcome outcome;
  for (const std::string& source : composition.sources) {
    outcome = co_await append_file(to->get(), source);
    if (!outcome) break;
  }
  if (outcome && ::fchown(to->get(), composition.user.uid, composition.user.gid) != 0) {
    outcome = os_failure("chown " + temporary, errno);
  }
  if (outcome && ::rename(temporary.c_str(), composition.destination.c_str()) != 0) {
    outcome = os_failure("rename " + temporary, errno);
  }
  if (!outcome) {
    ::unlink(temporary.c_str());
    co_return outcome;
  }
  for (const std::string& source : composition.sources) ::unlink(source.c_str());
  co_return Outcome();
}

}  // namespace

asio::awaitable<void> handle_compose(HttpCall& call, SandboxState& state) {
  auto text = co_await call.connection.read_full_body(kBodyLimit);
  if (!text) {
    co_await send_error(call, 400, "error reading request body: " + text.error().message());
    co_return;
  }
  auto composition = parse_composition(*text, state);
  if (!composition) {
    co_await send_error(call, composition.error().status, composition.error().message);
    co_return;
  }
  std::string destination = composition->destination;
  Outcome outcome = co_await compose(std::move(*composition));
  if (!outcome) {
    co_await send_error(call, outcome.error().status, outcome.error().message);
    co_return;
  }
  json body = {{"path", destination}, {"name", base_name(destination)}, {"type", "file"}};
  std::string out = body.dump(-1, ' ', false, json::error_handler_t::replace);
  co_await send_json(call, std::move(out), false);
}

}  // namespace fakeapi::envd
