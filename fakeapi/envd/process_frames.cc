#include "fakeapi/envd/process_frames.h"

#include "fakeapi/envd/base64.h"
#include "fakeapi/proto/process.pb.h"

namespace fakeapi::envd {

using http::append_frame;
using http::append_frame_header;
using http::Codec;

namespace {

constexpr std::string_view kSuffix = "\"}}}";

std::string_view json_prefix(OutputKind kind) {
  switch (kind) {
    case OutputKind::kStdout:
      return R"({"event":{"data":{"stdout":")";
    case OutputKind::kStderr:
      return R"({"event":{"data":{"stderr":")";
    case OutputKind::kPty:
      return R"({"event":{"data":{"pty":")";
  }
  return "";
}

// Field number of the bytes in ProcessEvent.DataEvent.
unsigned data_field(OutputKind kind) {
  switch (kind) {
    case OutputKind::kStdout:
      return 1;
    case OutputKind::kStderr:
      return 2;
    case OutputKind::kPty:
      return 3;
  }
  return 1;
}

std::size_t varint_size(std::size_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7U;
    ++size;
  }
  return size;
}

void append_varint(std::string& out, std::size_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(static_cast<unsigned char>((value & 0x7FU) | 0x80U)));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
}

// A length-delimited field's head: number and wire type 2, then the length.
void append_field(std::string& out, unsigned number, std::size_t size) {
  out.push_back(static_cast<char>((number << 3U) | 2U));
  append_varint(out, size);
}

void append_event(std::string& out, Codec codec, const ::process::StartResponse& response) {
  auto payload = http::serialize_message(codec, response);
  if (payload) append_frame(out, 0, *payload);
}

}  // namespace

void append_output_frame(std::string& out, Codec codec, OutputKind kind, std::string_view bytes) {
  if (codec == Codec::kJson) {
    std::string_view prefix = json_prefix(kind);
    append_frame_header(out, 0, prefix.size() + base64_size(bytes.size()) + kSuffix.size());
    out.append(prefix);
    base64_append(out, bytes);
    out.append(kSuffix);
    return;
  }
  std::size_t data = 1 + varint_size(bytes.size()) + bytes.size();
  std::size_t event = 1 + varint_size(data) + data;
  append_frame_header(out, 0, 1 + varint_size(event) + event);
  append_field(out, 1, event);  // StartResponse.event
  append_field(out, 2, data);   // ProcessEvent.data
  append_field(out, data_field(kind), bytes.size());
  out.append(bytes);
}

void append_start_frame(std::string& out, Codec codec, std::uint32_t pid) {
  if (codec == Codec::kJson) {
    append_frame(out, 0, R"({"event":{"start":{"pid":)" + std::to_string(pid) + "}}}");
    return;
  }
  ::process::StartResponse response;
  response.mutable_event()->mutable_start()->set_pid(pid);
  append_event(out, codec, response);
}

void append_end_frame(std::string& out, Codec codec, const ExitReport& report) {
  ::process::StartResponse response;
  auto* end = response.mutable_event()->mutable_end();
  end->set_exit_code(report.exit_code);
  end->set_exited(report.exited);
  end->set_status(report.status);
  if (report.exit_code != 0) end->set_error(report.status);
  append_event(out, codec, response);
}

void append_keepalive_frame(std::string& out, Codec codec) {
  ::process::StartResponse response;
  response.mutable_event()->mutable_keepalive();
  append_event(out, codec, response);
}

}  // namespace fakeapi::envd
