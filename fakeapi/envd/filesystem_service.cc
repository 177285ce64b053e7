#include "fakeapi/envd/filesystem_service.h"

#include <sys/stat.h>

#include "fakeapi/envd/caller.h"
#include "fakeapi/envd/directory_tree.h"
#include "fakeapi/envd/entry_info.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/path_resolution.h"

#include <stdio.h>

namespace fakeapi::envd {

namespace asio = boost::asio;
using http::ConnectCode;
using http::ConnectError;
using http::rpc_fail;
using http::RpcContext;
using http::RpcStatus;

namespace {

// The entry into the response; what goes wrong after the work was done is internal.
template <class Response>
RpcStatus set_entry(Response& response, const std::string& path, UserDatabase& users) {
  auto entry = entry_info(path, users);
  if (!entry) return rpc_fail(ConnectCode::kInternal, entry.error().message());
  *response.mutable_entry() = std::move(*entry);
  return {};
}

}  // namespace

void FilesystemService::add_to(http::ConnectServer& server) {
  using namespace ::filesystem;  // NOLINT(google-build-using-namespace): the message names of one
                                 // package
  const std::string base = "/filesystem.Filesystem/";
  server.unary<StatRequest, StatResponse>(
      base + "Stat", [this](const auto& q, auto& r, RpcContext& c) { return stat(q, r, c); });
  server.unary<MakeDirRequest, MakeDirResponse>(
      base + "MakeDir",
      [this](const auto& q, auto& r, RpcContext& c) { return make_dir(q, r, c); });
  server.unary<MoveRequest, MoveResponse>(
      base + "Move", [this](const auto& q, auto& r, RpcContext& c) { return move(q, r, c); });
  server.unary<ListDirRequest, ListDirResponse>(
      base + "ListDir",
      [this](const auto& q, auto& r, RpcContext& c) { return list_dir(q, r, c); });
  server.unary<RemoveRequest, RemoveResponse>(
      base + "Remove", [this](const auto& q, auto& r, RpcContext& c) { return remove(q, r, c); });
}

FilesystemService::Status FilesystemService::stat(const ::filesystem::StatRequest& request,
                                                  ::filesystem::StatResponse& response,
                                                  RpcContext& context) {
  auto target = rpc_target(request.path(), context.head.headers, state_);
  if (!target) co_return tl::unexpected<ConnectError>(target.error());
  auto entry = entry_info(target->path, state_.users);
  if (!entry && entry.error().os_errno() == ENOENT) {
    co_return rpc_fail(ConnectCode::kNotFound, "file not found: " + entry.error().message());
  }
  if (!entry)
    co_return rpc_fail(ConnectCode::kInternal,
                       "error getting file info: " + entry.error().message());
  *response.mutable_entry() = std::move(*entry);
  co_return RpcStatus();
}

FilesystemService::Status FilesystemService::make_dir(const ::filesystem::MakeDirRequest& request,
                                                      ::filesystem::MakeDirResponse& response,
                                                      RpcContext& context) {
  auto target = rpc_target(request.path(), context.head.headers, state_);
  if (!target) co_return tl::unexpected<ConnectError>(target.error());
  const std::string& path = target->path;
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      co_return rpc_fail(ConnectCode::kAlreadyExists, "directory already exists: " + path);
    }
    co_return rpc_fail(ConnectCode::kInvalidArgument,
                       "path already exists but it is not a directory: " + path);
  }
  if (errno != ENOENT) {
    co_return rpc_fail(ConnectCode::kInternal,
                       "error getting file info: stat " + path + ": " + errno_words(errno));
  }
  auto made = ensure_directories(path, target->user.uid, target->user.gid);
  if (!made)
    co_return rpc_fail(ConnectCode::kInternal,
                       "error ensuring directories: " + made.error().message());
  co_return set_entry(response, path, state_.users);
}

FilesystemService::Status FilesystemService::move(const ::filesystem::MoveRequest& request,
                                                  ::filesystem::MoveResponse& response,
                                                  RpcContext& context) {
  auto source = rpc_target(request.source(), context.head.headers, state_);
  if (!source) co_return tl::unexpected<ConnectError>(source.error());
  auto destination = rpc_target(request.destination(), context.head.headers, state_);
  if (!destination) co_return tl::unexpected<ConnectError>(destination.error());
  const User& user = destination->user;
  auto made = ensure_directories(parent_path(destination->path), user.uid, user.gid);
  if (!made)
    co_return rpc_fail(ConnectCode::kInternal,
                       "error ensuring directories: " + made.error().message());
  if (::rename(source->path.c_str(), destination->path.c_str()) != 0) {
    int error = errno;
    std::string text =
        "rename " + source->path + " " + destination->path + ": " + errno_words(error);
    if (error == ENOENT)
      co_return rpc_fail(ConnectCode::kNotFound, "source file not found: " + text);
    co_return rpc_fail(ConnectCode::kInternal, "error renaming: " + text);
  }
  co_return set_entry(response, destination->path, state_.users);
}

FilesystemService::Status FilesystemService::list_dir(const ::filesystem::ListDirRequest& request,
                                                      ::filesystem::ListDirResponse& response,
                                                      RpcContext& context) {
  auto target = rpc_target(request.path(), context.head.headers, state_);
  if (!target) co_return tl::unexpected<ConnectError>(target.error());
  const std::string& path = target->path;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    int error = errno;
    if (error == ENOENT) {
      co_return rpc_fail(ConnectCode::kNotFound,
                         "path not found: lstat " + path + ": " + errno_words(error));
    }
    if (error == ELOOP) {
      co_return rpc_fail(ConnectCode::kFailedPrecondition,
                         "cyclic symlink or chain >255 links at \"" + path + "\"");
    }
    co_return rpc_fail(ConnectCode::kInternal,
                       "error getting file info: stat " + path + ": " + errno_words(error));
  }
  if (!S_ISDIR(info.st_mode)) {
    co_return rpc_fail(ConnectCode::kInvalidArgument, "path is not a directory: " + path);
  }
  auto visit = [&](const std::string& found) {
    auto entry = entry_info(found, state_.users);
    if (entry) *response.add_entries() = std::move(*entry);
  };
  std::uint32_t depth = std::max<std::uint32_t>(request.depth(), 1);
  std::function<void(const std::string&)> visitor = visit;
  auto walked = co_await walk_tree(clean_path(path), depth, std::move(visitor));
  if (!walked) {
    co_return rpc_fail(ConnectCode::kInternal,
                       "error reading directory " + path + ": " + walked.error().message());
  }
  co_return RpcStatus();
}

FilesystemService::Status FilesystemService::remove(const ::filesystem::RemoveRequest& request,
                                                    ::filesystem::RemoveResponse& /*response*/,
                                                    RpcContext& context) {
  auto target = rpc_target(request.path(), context.head.headers, state_);
  if (!target) co_return tl::unexpected<ConnectError>(target.error());
  auto removed = co_await remove_tree(target->path);
  if (!removed) {
    co_return rpc_fail(ConnectCode::kInternal,
                       "error removing file or directory: " + removed.error().message());
  }
  co_return RpcStatus();
}

}  // namespace fakeapi::envd
