#include "fakeapi/envd/watcher_service.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "emulator/base/ids.h"
#include "emulator/base/scope_exit.h"
#include "fakeapi/envd/caller.h"
#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/keepalive.h"
#include "fakeapi/envd/running_timer.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using ::filesystem::WatchDirResponse;
using http::ConnectCode;
using http::ConnectError;
using http::rpc_fail;
using http::RpcContext;
using http::RpcStatus;

namespace {

constexpr int kBatch = 256;  // events between two looks at the clock

// Where inotify sees nothing of what other machines do: NFS, CIFS, SMB, SMB2, FUSE.
constexpr std::array<std::uint32_t, 5> kNetworkFilesystems = {0x6969, 0xff534d42, 0x517b,
                                                              0xfe534d42, 0x65735546};

bool on_network_filesystem(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return false;
  auto magic = static_cast<std::uint32_t>(info.f_type);
  return std::find(kNetworkFilesystems.begin(), kNetworkFilesystems.end(), magic) !=
         kNetworkFilesystems.end();
}

RpcStatus check_directory(const std::string& path, bool allow_network_mounts) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    int error = errno;
    std::string text = "stat " + path + ": " + errno_words(error);
    if (error == ENOENT) {
      return rpc_fail(ConnectCode::kNotFound, "path " + path + " not found: " + text);
    }
    return rpc_fail(ConnectCode::kInternal, "error statting path " + path + ": " + text);
  }
  if (!S_ISDIR(info.st_mode)) {
    // The tail is the original's own slip of formatting.
    return rpc_fail(ConnectCode::kInvalidArgument, "path " + path + " not a directory: %!w(<nil>)");
  }
  if (!allow_network_mounts && on_network_filesystem(path)) {
    return rpc_fail(ConnectCode::kInvalidArgument,
                    "cannot watch path on network filesystem: " + path);
  }
  return {};
}

RpcStatus to_status(const base::Result<>& result) {
  if (result) return {};
  return tl::unexpected<ConnectError>(result.error());
}

// Events and keepalives until the watch fails or the call's time is up.
asio::awaitable<RpcStatus> stream_events(std::shared_ptr<DirectoryWatch> watch,
                                         http::ServerStream& stream,
                                         std::chrono::seconds keepalive,
                                         const RunningTimer& limit) {
  WatchDirResponse message;
  message.mutable_start();
  for (;;) {
    auto sent = co_await stream.send(message);
    if (!sent) co_return to_status(sent);
    auto next_keepalive = std::chrono::steady_clock::now() + keepalive;
    message.Clear();
    while (watch->empty()) {
      if (limit.expired()) {
        co_return rpc_fail(ConnectCode::kDeadlineExceeded, "context deadline exceeded");
      }
      if (watch->failure()) co_return rpc_fail(ConnectCode::kInternal, *watch->failure());
      if (std::chrono::steady_clock::now() >= next_keepalive) {
        message.mutable_keepalive();
        break;
      }
      co_await watch->wait_until(next_keepalive);
    }
    // All but the last of a batch here, so that a burst costs few turns of the loop.
    for (int i = 0; i < kBatch && !watch->empty(); ++i) {
      if (message.has_filesystem()) {
        auto written = co_await stream.send(message);
        if (!written) co_return to_status(written);
      }
      *message.mutable_filesystem() = watch->pop();
    }
  }
}

}  // namespace

WatcherService::WatcherService(SandboxState& state,
                               asio::any_io_executor executor,
                               base::TaskGroup& tasks)
    : state_(state), executor_(std::move(executor)), tasks_(tasks) {}

WatcherService::~WatcherService() {
  for (auto& [id, watch] : polled_) watch->close();
}

void WatcherService::add_to(http::ConnectServer& server) {
  using namespace ::filesystem;  // NOLINT(google-build-using-namespace): the message names of one
                                 // package
  const std::string base = "/filesystem.Filesystem/";
  server.server_stream<WatchDirRequest>(
      base + "WatchDir",
      [this](const auto& q, auto& s, RpcContext& c) { return watch_dir(q, s, c); });
  server.unary<CreateWatcherRequest, CreateWatcherResponse>(
      base + "CreateWatcher",
      [this](const auto& q, auto& r, RpcContext& c) { return create(q, r, c); });
  server.unary<GetWatcherEventsRequest, GetWatcherEventsResponse>(
      base + "GetWatcherEvents",
      [this](const auto& q, auto& r, RpcContext& c) { return events(q, r, c); });
  server.unary<RemoveWatcherRequest, RemoveWatcherResponse>(
      base + "RemoveWatcher",
      [this](const auto& q, auto& r, RpcContext& c) { return remove(q, r, c); });
}

asio::awaitable<WatcherService::Opened> WatcherService::open(Wanted wanted, RpcContext& context) {
  auto user = rpc_caller(context.head.headers, state_);
  if (!user) co_return tl::unexpected<ConnectError>(user.error());
  auto path = rpc_path(wanted.path, *user, state_);
  if (!path) co_return tl::unexpected<ConnectError>(path.error());
  auto fit = check_directory(*path, wanted.allow_network_mounts);
  if (!fit) co_return tl::unexpected<ConnectError>(fit.error());
  WatchOptions options;
  options.path = *path;
  options.recursive = wanted.recursive;
  options.include_entry = wanted.include_entry;
  options.when_full = wanted.when_full;
  auto watch = co_await DirectoryWatch::open(executor_, tasks_, std::move(options), state_.users);
  if (watch) co_return std::move(*watch);
  int number = watch.error().os_errno();
  std::string why = number != 0 ? errno_words(number) : watch.error().message();
  co_return tl::unexpected<ConnectError>(
      ConnectError{ConnectCode::kInternal, "error adding path " + *path + " to watcher: " + why});
}

WatcherService::Status WatcherService::watch_dir(const ::filesystem::WatchDirRequest& request,
                                                 http::ServerStream& stream,
                                                 RpcContext& context) {
  using asio::experimental::awaitable_operators::operator||;
  Wanted wanted;
  wanted.path = request.path();
  wanted.recursive = request.recursive();
  wanted.include_entry = request.include_entry();
  wanted.allow_network_mounts = request.allow_network_mounts();
  auto opened = co_await open(std::move(wanted), context);
  if (!opened) co_return tl::unexpected<ConnectError>(opened.error());
  WatchPtr watch = std::move(*opened);
  base::ScopeExit stop([&watch] { watch->close(); });
  RunningTimer limit(executor_);
  if (context.deadline) {
    limit.start(*context.deadline - std::chrono::steady_clock::now(), [&watch] { watch->wake(); });
  }
  auto raced =
      co_await (stream_events(watch, stream, keepalive_interval(context.head.headers), limit) ||
                context.connection.wait_for_disconnect());
  if (raced.index() == 0) co_return std::get<0>(std::move(raced));
  context.connection.close_after_response();
  co_return rpc_fail(ConnectCode::kCanceled, "context canceled");
}

WatcherService::Status WatcherService::create(const ::filesystem::CreateWatcherRequest& request,
                                              ::filesystem::CreateWatcherResponse& response,
                                              RpcContext& context) {
  Wanted wanted;
  wanted.path = request.path();
  wanted.recursive = request.recursive();
  wanted.include_entry = request.include_entry();
  wanted.allow_network_mounts = request.allow_network_mounts();
  wanted.when_full = WhenFull::kFail;
  auto opened = co_await open(std::move(wanted), context);
  if (!opened) co_return tl::unexpected<ConnectError>(opened.error());
  std::string id = "w" + base::random_id(20);
  response.set_watcher_id(id);
  polled_[std::move(id)] = std::move(*opened);
  co_return RpcStatus();
}

WatcherService::Status WatcherService::events(const ::filesystem::GetWatcherEventsRequest& request,
                                              ::filesystem::GetWatcherEventsResponse& response,
                                              RpcContext& /*context*/) {
  auto found = polled_.find(request.watcher_id());
  if (found == polled_.end()) {
    co_return rpc_fail(ConnectCode::kNotFound,
                       "watcher with id " + request.watcher_id() + " not found");
  }
  DirectoryWatch& watch = *found->second;
  // Whoever polls right after a change finds it.
  watch.catch_up();
  if (watch.failure()) co_return rpc_fail(ConnectCode::kInternal, *watch.failure());
  while (!watch.empty()) *response.add_events() = watch.pop();
  co_return RpcStatus();
}

WatcherService::Status WatcherService::remove(const ::filesystem::RemoveWatcherRequest& request,
                                              ::filesystem::RemoveWatcherResponse& /*response*/,
                                              RpcContext& /*context*/) {
  auto found = polled_.find(request.watcher_id());
  if (found == polled_.end()) {
    co_return rpc_fail(ConnectCode::kNotFound,
                       "watcher with id " + request.watcher_id() + " not found");
  }
  found->second->close();
  polled_.erase(found);
  co_return RpcStatus();
}

}  // namespace fakeapi::envd
