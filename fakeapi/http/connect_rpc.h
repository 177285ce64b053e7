// Connect RPC over an HTTP connection: unary, server-streaming and client-streaming methods with
// JSON and binary protobuf bodies from one handler (contract-envd 2.1). Used by fakeapi/envd. Knows
// no service; does not speak gRPC; reads gzip'ed requests, never compresses an answer.
//
// Handlers run on the connection's coroutine. A stream's handler notices a vanished client itself
// (ServerConnection::wait_for_disconnect) and the deadline too: only it knows what has to be
// stopped.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fakeapi/http/connect_frame.h"
#include "fakeapi/http/connect_message.h"
#include "fakeapi/http/connection.h"

namespace fakeapi::http {

using SteadyTime = std::chrono::steady_clock::time_point;

struct RpcContext {
  const RequestHead& head;
  ServerConnection& connection;
  Codec codec = Codec::kJson;
  std::optional<SteadyTime> deadline;  // from Connect-Timeout-Ms
};

// What a stream's handler answers, ended early by a client that leaves: `work` is cancelled then
// and the connection is of no more use.
boost::asio::awaitable<RpcStatus> until_client_leaves(boost::asio::awaitable<RpcStatus> work,
                                                      RpcContext& context);

// The response side of a server-streaming call.
class ServerStream {
 public:
  ServerStream(ServerConnection& connection, Codec codec)
      : connection_(connection), codec_(codec) {}
  base::Task<> send(const google::protobuf::Message& message);
  // Complete envelopes, already encoded in codec().
  base::Task<> send_frames(std::string_view frames) { return connection_.write(frames); }
  Codec codec() const { return codec_; }

 private:
  ServerConnection& connection_;
  Codec codec_;
};

// The request side of a client-streaming call.
class MessageReader {
 public:
  MessageReader(ServerConnection& connection, Codec codec, bool gzip)
      : connection_(connection), codec_(codec), gzip_(gzip) {}
  // False = the client has sent everything.
  boost::asio::awaitable<tl::expected<bool, ConnectError>> next(google::protobuf::Message& message);

 private:
  ServerConnection& connection_;
  Codec codec_;
  bool gzip_;
  FrameReader frames_;
};

class ConnectServer {
 public:
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  // `path` is "/package.Service/Method". `handler`: awaitable<RpcStatus>(const Request&, Response&,
  // RpcContext&).
  template <class Request, class Response, class Handler>
  void unary(const std::string& path, Handler handler) {
    Method method;
    method.kind = Kind::kUnary;
    method.request = &Request::default_instance();
    method.response = &Response::default_instance();
    method.unary = [handler](const Message& request, Message& response, RpcContext& context) {
      return handler(static_cast<const Request&>(request), static_cast<Response&>(response),
                     context);
    };
    add(path, std::move(method));
  }

  // `handler`: awaitable<RpcStatus>(const Request&, ServerStream&, RpcContext&).
  template <class Request, class Handler>
  void server_stream(const std::string& path, Handler handler) {
    Method method;
    method.kind = Kind::kServerStream;
    method.request = &Request::default_instance();
    method.server_stream = [handler](const Message& request, ServerStream& stream,
                                     RpcContext& context) {
      return handler(static_cast<const Request&>(request), stream, context);
    };
    add(path, std::move(method));
  }

  // `handler`: awaitable<RpcStatus>(MessageReader&, Response&, RpcContext&).
  template <class Response, class Handler>
  void client_stream(const std::string& path, Handler handler) {
    Method method;
    method.kind = Kind::kClientStream;
    method.response = &Response::default_instance();
    method.client_stream = [handler](MessageReader& reader, Message& response,
                                     RpcContext& context) {
      return handler(reader, static_cast<Response&>(response), context);
    };
    add(path, std::move(method));
  }

  // True when `path` belongs to a registered service, known method or not.
  bool serves(std::string_view path) const;
  // Answers one request whose path this object serves. `common` headers go on every response.
  boost::asio::awaitable<void> handle(const RequestHead& head,
                                      ServerConnection& connection,
                                      const Headers& common);

 private:
  using Message = google::protobuf::Message;
  enum class Kind { kUnary, kServerStream, kClientStream };
  struct Method {
    Kind kind = Kind::kUnary;
    const Message* request = nullptr;
    const Message* response = nullptr;
    std::function<Awaitable<RpcStatus>(const Message&, Message&, RpcContext&)> unary;
    std::function<Awaitable<RpcStatus>(const Message&, ServerStream&, RpcContext&)> server_stream;
    std::function<Awaitable<RpcStatus>(MessageReader&, Message&, RpcContext&)> client_stream;
  };

  void add(const std::string& path, Method method);
  Awaitable<void> handle_unary(const Method& method, RpcContext& context, const Headers& common);
  Awaitable<void> handle_stream(const Method& method, RpcContext& context, const Headers& common);
  static Awaitable<RpcStatus> run_stream(const Method& method, RpcContext& context);
  static Awaitable<RpcStatus> run_server_stream(const Method& method, RpcContext& context);
  static Awaitable<RpcStatus> run_client_stream(const Method& method, RpcContext& context);

  std::map<std::string, Method, std::less<>> methods_;
};

}  // namespace fakeapi::http
