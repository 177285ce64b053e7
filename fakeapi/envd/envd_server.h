// The daemon's HTTP face: CORS, the access token, and which handler answers which path
// (contract-envd 1.1-1.3). Used by the agent. Owns the services; does not listen.
#pragma once

#include "fakeapi/envd/filesystem_service.h"
#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/process_service.h"
#include "fakeapi/envd/process_table.h"
#include "fakeapi/envd/resource_usage.h"
#include "fakeapi/envd/sandbox_state.h"
#include "fakeapi/envd/watcher_service.h"
#include "fakeapi/http/connect_rpc.h"

namespace fakeapi::envd {

class EnvdServer {
 public:
  EnvdServer(SandboxState& state, ProcessTable& processes);
  EnvdServer(const EnvdServer&) = delete;
  EnvdServer& operator=(const EnvdServer&) = delete;

  // Answers one request.
  boost::asio::awaitable<void> handle(const http::RequestHead& head,
                                      http::ServerConnection& connection);

 private:
  bool authorized(const http::RequestHead& head) const;
  boost::asio::awaitable<void> route(HttpCall& call);

  SandboxState& state_;
  ProcessService process_service_;
  FilesystemService filesystem_service_;
  WatcherService watcher_service_;
  http::ConnectServer rpc_;
  CpuMeter cpu_;
};

// CORS headers of an ordinary response (contract-envd 1.1). Pure.
http::Headers cors_headers(const http::RequestHead& head);

}  // namespace fakeapi::envd
