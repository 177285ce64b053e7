#include "fakeapi/http/connect_message.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include "fakeapi/http/gzip.h"

namespace fakeapi::http {

using base::Errc;
using google::protobuf::Message;

base::Result<> parse_message(Codec codec, std::string_view bytes, Message& message) {
  if (codec == Codec::kProto) {
    if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
    return base::fail(Errc::kInvalidArgument, "unmarshal message: invalid wire-format data");
  }
  if (bytes.empty()) {
    return base::fail(Errc::kInvalidArgument,
                      "unmarshal message: zero-length payload is not a valid JSON object");
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  google::protobuf::StringPiece text(bytes.data(), bytes.size());
  auto status = google::protobuf::util::JsonStringToMessage(text, &message, options);
  if (status.ok()) return {};
  return base::fail(Errc::kInvalidArgument, "unmarshal message: " + std::string(status.message()));
}

base::Result<std::string> serialize_message(Codec codec, const Message& message) {
  std::string out;
  if (codec == Codec::kProto) {
    if (message.SerializeToString(&out)) return out;
    return base::fail(Errc::kInternal, "marshal message: not serializable");
  }
  auto status = google::protobuf::util::MessageToJsonString(message, &out);
  if (status.ok()) return out;
  return base::fail(Errc::kInternal, "marshal message: " + std::string(status.message()));
}

RpcStatus open_frame(Frame frame, bool gzip, Codec codec, Message& message) {
  if ((frame.flags & kFrameEndStream) != 0) {
    return rpc_fail(ConnectCode::kInvalidArgument,
                    "protocol error: unexpected end-of-stream message");
  }
  if ((frame.flags & kFrameCompressed) != 0) {
    if (!gzip) {
      return rpc_fail(ConnectCode::kInternal,
                      "protocol error: received compressed message without compression support");
    }
    auto plain = gunzip(frame.payload, kMessageLimit);
    if (!plain) return tl::unexpected<ConnectError>(plain.error());
    frame.payload = std::move(*plain);
  }
  auto parsed = parse_message(codec, frame.payload, message);
  if (!parsed) return tl::unexpected<ConnectError>(parsed.error());
  return {};
}

}  // namespace fakeapi::http
