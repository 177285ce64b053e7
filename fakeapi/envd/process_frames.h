// The events of a process stream as Connect envelopes. Output is written by hand, without a message
// object: it is the hot path (contract-envd 2.3; performance: base64 is most of the work).
// StartResponse and ConnectResponse have the same shape in both codecs, so one set serves both.
#pragma once

#include <string>
#include <string_view>

#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/output_fanout.h"
#include "fakeapi/http/connect_rpc.h"

namespace fakeapi::envd {

void append_output_frame(std::string& out,
                         http::Codec codec,
                         OutputKind kind,
                         std::string_view bytes);
void append_start_frame(std::string& out, http::Codec codec, std::uint32_t pid);
void append_end_frame(std::string& out, http::Codec codec, const ExitReport& report);
void append_keepalive_frame(std::string& out, http::Codec codec);

}  // namespace fakeapi::envd
