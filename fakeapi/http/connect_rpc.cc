#include "fakeapi/http/connect_rpc.h"

#include <array>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <google/protobuf/message.h>

#include "fakeapi/http/gzip.h"

namespace fakeapi::http {

using base::Errc;
using google::protobuf::Message;

namespace {

std::string_view media_type(const RequestHead& head) {
  std::string_view type = head.headers.get("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

std::optional<Codec> codec_of(std::string_view type, bool stream) {
  if (iequals(type, stream ? "application/connect+json" : "application/json")) return Codec::kJson;
  if (iequals(type, stream ? "application/connect+proto" : "application/proto"))
    return Codec::kProto;
  return std::nullopt;
}

std::string_view content_type(Codec codec, bool stream) {
  if (codec == Codec::kJson) return stream ? "application/connect+json" : "application/json";
  return stream ? "application/connect+proto" : "application/proto";
}

boost::asio::awaitable<void> send_bare(ServerConnection& connection,
                                       Headers headers,
                                       int status,
                                       std::string text = {}) {
  Response response;
  response.status = status;
  response.headers = std::move(headers);
  if (!text.empty()) response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  co_await connection.send(std::move(response));
}

// The checks that every call shares; fills in the deadline.
RpcStatus check_protocol(RpcContext& context, std::string_view encoding_header) {
  const Headers& headers = context.head.headers;
  std::string_view version = headers.get("Connect-Protocol-Version");
  if (!version.empty() && version != "1") {
    return rpc_fail(ConnectCode::kInvalidArgument,
                    "connect-protocol-version must be \"1\": got \"" + std::string(version) + "\"");
  }
  std::string_view encoding = headers.get(encoding_header);
  if (!encoding.empty() && !iequals(encoding, "identity") && !iequals(encoding, "gzip")) {
    return rpc_fail(ConnectCode::kUnimplemented, "unknown compression \"" + std::string(encoding) +
                                                     "\": supported encodings are gzip");
  }
  std::string_view timeout = headers.get("Connect-Timeout-Ms");
  if (!timeout.empty()) {
    auto limit = parse_connect_timeout(timeout);
    if (!limit) return tl::unexpected<ConnectError>(limit.error());
    context.deadline = std::chrono::steady_clock::now() + *limit;
  }
  return {};
}

base::Task<std::string> read_unary_body(RpcContext& context) {
  SANDLOT_CO_TRY(std::string body, co_await context.connection.read_full_body(kMessageLimit));
  if (iequals(context.head.headers.get("Content-Encoding"), "gzip") && !body.empty()) {
    co_return gunzip(body, kMessageLimit);
  }
  co_return body;
}

bool gzip_stream(const RpcContext& context) {
  return iequals(context.head.headers.get("Connect-Content-Encoding"), "gzip");
}

}  // namespace

boost::asio::awaitable<RpcStatus> until_client_leaves(boost::asio::awaitable<RpcStatus> work,
                                                      RpcContext& context) {
  using boost::asio::experimental::awaitable_operators::operator||;
  auto raced = co_await (std::move(work) || context.connection.wait_for_disconnect());
  if (raced.index() == 0) co_return std::get<0>(std::move(raced));
  context.connection.close_after_response();
  co_return rpc_fail(ConnectCode::kCanceled, "context canceled");
}

base::Task<> ServerStream::send(const Message& message) {
  SANDLOT_CO_TRY(std::string payload, serialize_message(codec_, message));
  std::string header;
  append_frame_header(header, 0, payload.size());
  co_return co_await connection_.write(header, payload);
}

boost::asio::awaitable<tl::expected<bool, ConnectError>> MessageReader::next(Message& message) {
  std::array<char, 16384> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    auto frame = frames_.next();
    if (!frame) co_return tl::unexpected<ConnectError>(frame.error());
    if (*frame) {
      message.Clear();
      auto opened = open_frame(std::move(**frame), gzip_, codec_, message);
      if (!opened) co_return tl::unexpected<ConnectError>(opened.error());
      co_return true;
    }
    auto count = co_await connection_.read_body(chunk);
    if (!count) co_return tl::unexpected<ConnectError>(count.error());
    if (*count == 0) {
      if (!frames_.incomplete()) co_return false;
      co_return rpc_fail(ConnectCode::kInvalidArgument, "protocol error: incomplete envelope");
    }
    frames_.feed(std::string_view(chunk.data(), *count));
  }
}

void ConnectServer::add(const std::string& path, Method method) {
  methods_[path] = std::move(method);
}

bool ConnectServer::serves(std::string_view path) const {
  auto slash = path.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return false;
  std::string_view service = path.substr(0, slash + 1);
  auto at = methods_.lower_bound(service);
  return at != methods_.end() && std::string_view(at->first).substr(0, service.size()) == service;
}

boost::asio::awaitable<void> ConnectServer::handle(const RequestHead& head,
                                                   ServerConnection& connection,
                                                   const Headers& common) {
  auto found = methods_.find(head.path());
  if (found == methods_.end()) {
    co_await send_bare(connection, common, 404, "404 page not found\n");
    co_return;
  }
  const Method& method = found->second;
  bool stream = method.kind != Kind::kUnary;
  Headers headers = common;
  if (head.method != "POST") {
    headers.set("Allow", "POST");
    co_await send_bare(connection, std::move(headers), 405);
    co_return;
  }
  auto codec = codec_of(media_type(head), stream);
  if (!codec) {
    headers.set("Accept-Post", stream ? "application/connect+json, application/connect+proto"
                                      : "application/json, application/proto");
    co_await send_bare(connection, std::move(headers), 415);
    co_return;
  }
  RpcContext context{head, connection, *codec, std::nullopt};
  headers.set("Content-Type", std::string(content_type(*codec, stream)));
  if (stream) {
    co_await handle_stream(method, context, headers);
  } else {
    co_await handle_unary(method, context, headers);
  }
}

boost::asio::awaitable<void> ConnectServer::handle_unary(const Method& method,
                                                         RpcContext& context,
                                                         const Headers& common) {
  Response http;
  http.headers = common;
  std::unique_ptr<Message> request(method.request->New());
  std::unique_ptr<Message> response(method.response->New());
  RpcStatus status = check_protocol(context, "Content-Encoding");
  if (status) {
    auto body = co_await read_unary_body(context);
    base::Result<> parsed =
        body ? parse_message(context.codec, *body, *request) : base::fail(body.error());
    if (!parsed) status = tl::unexpected<ConnectError>(parsed.error());
  }
  if (status) status = co_await method.unary(*request, *response, context);
  if (status) {
    auto body = serialize_message(context.codec, *response);
    if (body) {
      http.body = std::move(*body);
    } else {
      status = tl::unexpected<ConnectError>(body.error());
    }
  }
  if (!status) {
    http.status = http_status(status.error().code);
    http.headers.set("Content-Type", "application/json");
    http.body = error_json(status.error());
  }
  co_await context.connection.send(std::move(http));
}

boost::asio::awaitable<void> ConnectServer::handle_stream(const Method& method,
                                                          RpcContext& context,
                                                          const Headers& common) {
  ResponseHead head;
  head.headers = common;
  auto begun = co_await context.connection.begin(std::move(head));
  if (!begun) co_return;
  RpcStatus status = check_protocol(context, "Connect-Content-Encoding");
  if (status) status = co_await run_stream(method, context);
  std::string end;
  append_frame(end, kFrameEndStream, end_stream_json(status));
  auto written = co_await context.connection.write(end);
  if (written) co_await context.connection.end();
}

boost::asio::awaitable<RpcStatus> ConnectServer::run_stream(const Method& method,
                                                            RpcContext& context) {
  return method.kind == Kind::kServerStream ? run_server_stream(method, context)
                                            : run_client_stream(method, context);
}

boost::asio::awaitable<RpcStatus> ConnectServer::run_server_stream(const Method& method,
                                                                   RpcContext& context) {
  std::unique_ptr<Message> request(method.request->New());
  MessageReader reader(context.connection, context.codec, gzip_stream(context));
  auto got = co_await reader.next(*request);
  if (!got) co_return tl::unexpected<ConnectError>(got.error());
  if (!*got) co_return rpc_fail(ConnectCode::kUnimplemented, "unary request has zero messages");
  std::unique_ptr<Message> extra(method.request->New());
  auto more = co_await reader.next(*extra);
  if (!more) co_return tl::unexpected<ConnectError>(more.error());
  if (*more) co_return rpc_fail(ConnectCode::kUnimplemented, "unary request has multiple messages");
  ServerStream stream(context.connection, context.codec);
  co_return co_await method.server_stream(*request, stream, context);
}

boost::asio::awaitable<RpcStatus> ConnectServer::run_client_stream(const Method& method,
                                                                   RpcContext& context) {
  std::unique_ptr<Message> response(method.response->New());
  MessageReader reader(context.connection, context.codec, gzip_stream(context));
  RpcStatus status = co_await method.client_stream(reader, *response, context);
  if (!status) co_return status;
  ServerStream stream(context.connection, context.codec);
  auto sent = co_await stream.send(*response);
  if (!sent) co_return tl::unexpected<ConnectError>(sent.error());
  co_return RpcStatus();
}

}  // namespace fakeapi::http
