// The watchers of filesystem.Filesystem: WatchDir as a stream, CreateWatcher, GetWatcherEvents and
// RemoveWatcher for those who poll (contract-envd 3.3-3.5). Used by envd_server. A polled watcher
// lives until it is removed, whoever made it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "fakeapi/envd/directory_watch.h"
#include "fakeapi/envd/sandbox_state.h"
#include "fakeapi/http/connect_rpc.h"
#include "fakeapi/proto/filesystem.pb.h"

namespace fakeapi::envd {

class WatcherService {
 public:
  // The watchers read in `tasks`, which must outlive this object, as `state` must.
  WatcherService(SandboxState& state,
                 boost::asio::any_io_executor executor,
                 base::TaskGroup& tasks);
  WatcherService(const WatcherService&) = delete;
  WatcherService& operator=(const WatcherService&) = delete;
  ~WatcherService();

  // This object must outlive `server`.
  void add_to(http::ConnectServer& server);

 private:
  using WatchPtr = std::shared_ptr<DirectoryWatch>;
  using Status = boost::asio::awaitable<http::RpcStatus>;
  using Opened = tl::expected<WatchPtr, http::ConnectError>;

  // `options` with the path as the caller wrote it.
  boost::asio::awaitable<Opened> open(WatchOptions options,
                                      bool allow_network_mounts,
                                      http::RpcContext& context);
  Status watch_dir(const ::filesystem::WatchDirRequest& request,
                   http::ServerStream& stream,
                   http::RpcContext& context);
  Status create(const ::filesystem::CreateWatcherRequest& request,
                ::filesystem::CreateWatcherResponse& response,
                http::RpcContext& context);
  Status events(const ::filesystem::GetWatcherEventsRequest& request,
                ::filesystem::GetWatcherEventsResponse& response,
                http::RpcContext& context);
  Status remove(const ::filesystem::RemoveWatcherRequest& request,
                ::filesystem::RemoveWatcherResponse& response,
                http::RpcContext& context);

  using Polled = std::map<std::string, WatchPtr, std::less<>>;
  tl::expected<Polled::iterator, http::ConnectError> find(const std::string& id);

  SandboxState& state_;
  boost::asio::any_io_executor executor_;
  base::TaskGroup& tasks_;
  Polled polled_;
};

}  // namespace fakeapi::envd
