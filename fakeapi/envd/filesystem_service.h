// filesystem.Filesystem over Connect: Stat, MakeDir, Move, ListDir, Remove
// (contract-envd 2.6, 2.7). Watching is watcher_service's.
#pragma once

#include "fakeapi/envd/sandbox_state.h"
#include "fakeapi/http/connect_rpc.h"
#include "fakeapi/proto/filesystem.pb.h"

namespace fakeapi::envd {

class FilesystemService {
 public:
  explicit FilesystemService(SandboxState& state) : state_(state) {}
  // This object must outlive `server`.
  void add_to(http::ConnectServer& server);

 private:
  using Status = boost::asio::awaitable<http::RpcStatus>;

  Status stat(const ::filesystem::StatRequest& request,
              ::filesystem::StatResponse& response,
              http::RpcContext& context);
  Status make_dir(const ::filesystem::MakeDirRequest& request,
                  ::filesystem::MakeDirResponse& response,
                  http::RpcContext& context);
  Status move(const ::filesystem::MoveRequest& request,
              ::filesystem::MoveResponse& response,
              http::RpcContext& context);
  Status list_dir(const ::filesystem::ListDirRequest& request,
                  ::filesystem::ListDirResponse& response,
                  http::RpcContext& context);
  Status remove(const ::filesystem::RemoveRequest& request,
                ::filesystem::RemoveResponse& response,
                http::RpcContext& context);

  SandboxState& state_;
};

}  // namespace fakeapi::envd
