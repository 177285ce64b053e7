#include "fakeapi/envd/watcher_service.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>

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
using http::to_status;

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

// WatchDirRequest and CreateWatcherRequest have the same fields.
template <class Request>
WatchOptions options_of(const Request& request, WhenFull when_full) {
  WatchOptions options;
  options.path = request.path();
  options.recursive = request.recursive();
  options.include_entry = request.include_entry();
  options.when_full = when_full;
  return options;
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
        co_return http::rpc_deadline_exceeded();
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

asio::awaitable<WatcherService::Opened> WatcherService::open(WatchOptions options,
                                                             bool allow_network_mounts,
                                                             RpcContext& context) {
  auto target = rpc_target(options.path, context.head.headers, state_);
  if (!target) co_return tl::unexpected<ConnectError>(target.error());
  const std::string& path = target->path;
  auto fit = check_directory(path, allow_network_mounts);
  if (!fit) co_return tl::unexpected<ConnectError>(fit.error());
  options.path = path;
  auto watch = co_await DirectoryWatch::open(executor_, tasks_, std::move(options), state_.users);
  if (watch) co_return std::move(*watch);
  int number = watch.error().os_errno();
  std::string why = number != 0 ? errno_words(number) : watch.error().message();
  co_return tl::unexpected<ConnectError>(
      ConnectError{ConnectCode::kInternal, "error adding path " + path + " to watcher: " + why});
}

tl::expected<WatcherService::Polled::iterator, ConnectError> WatcherService::find(
    const std::string& id) {
  auto found = polled_.find(id);
  if (found != polled_.end()) return found;
  return rpc_fail(ConnectCode::kNotFound, "watcher with id " + id + " not found");
}

WatcherService::Status WatcherService::watch_dir(const ::filesystem::WatchDirRequest& request,
                                                 http::ServerStream& stream,
                                                 RpcContext& context) {
  WatchOptions options = options_of(request, WhenFull::kWait);
  auto opened = co_await open(std::move(options), request.allow_network_mounts(), context);
  if (!opened) co_return tl::unexpected<ConnectError>(opened.error());
  WatchPtr watch = std::move(*opened);
  base::ScopeExit stop([&watch] { watch->close(); });
  RunningTimer limit(executor_);
  if (context.deadline) {
    limit.start(*context.deadline - std::chrono::steady_clock::now(), [&watch] { watch->wake(); });
  }
  auto events = stream_events(watch, stream, keepalive_interval(context.head.headers), limit);
  co_return co_await http::until_client_leaves(std::move(events), context);
}

WatcherService::Status WatcherService::create(const ::filesystem::CreateWatcherRequest& request,
                                              ::filesystem::CreateWatcherResponse& response,
                                              RpcContext& context) {
  WatchOptions options = options_of(request, WhenFull::kFail);
  auto opened = co_await open(std::move(options), request.allow_network_mounts(), context);
  if (!opened) co_return tl::unexpected<ConnectError>(opened.error());
  std::string id = "w" + base::random_id(20);
  response.set_watcher_id(id);
  polled_[std::move(id)] = std::move(*opened);
  co_return RpcStatus();
}

WatcherService::Status WatcherService::events(const ::filesystem::GetWatcherEventsRequest& request,
                                              ::filesystem::GetWatcherEventsResponse& response,
                                              RpcContext& /*context*/) {
  auto found = find(request.watcher_id());
  if (!found) co_return tl::unexpected<ConnectError>(found.error());
  WatchPtr watch = (*found)->second;
  // Whoever polls right after a change finds it.
  co_await DirectoryWatch::catch_up(watch);
  if (watch->failure()) co_return rpc_fail(ConnectCode::kInternal, *watch->failure());
  while (!watch->empty()) *response.add_events() = watch->pop();
  co_return RpcStatus();
}

WatcherService::Status WatcherService::remove(const ::filesystem::RemoveWatcherRequest& request,
                                              ::filesystem::RemoveWatcherResponse& /*response*/,
                                              RpcContext& /*context*/) {
  auto found = find(request.watcher_id());
  if (!found) co_return tl::unexpected<ConnectError>(found.error());
  (*found)->second->close();
  polled_.erase(*found);
  co_return RpcStatus();
}

}  // namespace fakeapi::envd
