// process.Process over Connect: Start, Connect, List, SendInput, StreamInput, CloseStdin,
// SendSignal, Update (contract-envd 2.3-2.5). Turns requests into launches and table look-ups, and
// a process's output into a stream.
#pragma once

#include <memory>

#include "fakeapi/envd/process_table.h"
#include "fakeapi/envd/sandbox_state.h"
#include "fakeapi/http/connect_rpc.h"

namespace fakeapi::envd {

class ProcessService {
 public:
  ProcessService(SandboxState& state, ProcessTable& table) : state_(state), table_(table) {}
  // Both objects must outlive `server`.
  void add_to(http::ConnectServer& server);

 private:
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;
  using Found = tl::expected<std::shared_ptr<Process>, http::ConnectError>;

  Awaitable<http::RpcStatus> start(const ::process::StartRequest& request,
                                   http::ServerStream& stream,
                                   http::RpcContext& context);
  Awaitable<http::RpcStatus> connect(const ::process::ConnectRequest& request,
                                     http::ServerStream& stream,
                                     http::RpcContext& context);
  Awaitable<http::RpcStatus> list(const ::process::ListRequest& request,
                                  ::process::ListResponse& response,
                                  http::RpcContext& context);
  Awaitable<http::RpcStatus> send_input(const ::process::SendInputRequest& request,
                                        ::process::SendInputResponse& response,
                                        http::RpcContext& context);
  Awaitable<http::RpcStatus> stream_input(http::MessageReader& reader,
                                          ::process::StreamInputResponse& response,
                                          http::RpcContext& context);
  Awaitable<http::RpcStatus> close_stdin(const ::process::CloseStdinRequest& request,
                                         ::process::CloseStdinResponse& response,
                                         http::RpcContext& context);
  Awaitable<http::RpcStatus> send_signal(const ::process::SendSignalRequest& request,
                                         ::process::SendSignalResponse& response,
                                         http::RpcContext& context);
  Awaitable<http::RpcStatus> update(const ::process::UpdateRequest& request,
                                    ::process::UpdateResponse& response,
                                    http::RpcContext& context);

  Found select(const ::process::ProcessSelector& selector, bool ended_too = false);
  tl::expected<std::shared_ptr<Process>, http::ConnectError> launch_for(
      const ::process::StartRequest& request, const http::RpcContext& context);

  SandboxState& state_;
  ProcessTable& table_;
};

}  // namespace fakeapi::envd
