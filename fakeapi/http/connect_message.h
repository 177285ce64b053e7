// The daemon's messages as bytes, in both codecs of Connect, alone or in an envelope (contract-envd
// 2.1, 2.2). Pure: no I/O. Used by connect_rpc, the daemon's event writer and tests.
#pragma once

#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/http/connect_frame.h"

namespace google::protobuf {
class Message;
}

namespace fakeapi::http {

enum class Codec { kJson, kProto };

// Bytes of one message, inflated.
inline constexpr std::size_t kMessageLimit = 64U << 20U;

// JSON by the proto3 rules (contract-envd 2.2); unknown fields are ignored.
base::Result<> parse_message(Codec codec,
                             std::string_view bytes,
                             google::protobuf::Message& message);
base::Result<std::string> serialize_message(Codec codec, const google::protobuf::Message& message);

// An envelope's payload as a message. `gzip`: the request named it in Connect-Content-Encoding.
RpcStatus open_frame(Frame frame, bool gzip, Codec codec, google::protobuf::Message& message);

}  // namespace fakeapi::http
