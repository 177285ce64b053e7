#include <google/protobuf/stubs/logging.h>

#include "fakeapi/envd/agent.h"
#include "fakeapi/envd/process_frames.h"
#include "fakeapi/http/connect_rpc.h"
#include "fakeapi/proto/filesystem.pb.h"
#include "fakeapi/proto/process.pb.h"

namespace fakeapi::envd {

namespace {

// Through both directions of the JSON codec once.
void exercise(google::protobuf::Message& message, std::string_view text) {
  [[maybe_unused]] auto parsed = http::parse_message(http::Codec::kJson, text, message);
  [[maybe_unused]] auto written = http::serialize_message(http::Codec::kJson, message);
}

template <class Message>
void exercise(std::string_view text = "{}") {
  Message message;
  exercise(message, text);
}

}  // namespace

void warm_up() {
  google::protobuf::SetLogHandler(nullptr);
  exercise<::process::StartRequest>(
      R"({"process":{"cmd":"/bin/bash","args":["-l"],"envs":{"A":"b"},"cwd":"/"},)"
      R"("pty":{"size":{"cols":80,"rows":24}},"tag":"t","stdin":false})");
  exercise<::process::StartResponse>(
      R"({"event":{"end":{"exitCode":1,"exited":true,"status":"s","error":"e"}}})");
  exercise<::process::ConnectRequest>(R"({"process":{"pid":1}})");
  exercise<::process::ListRequest>();
  exercise<::process::ListResponse>(R"({"processes":[{"config":{"cmd":"a"},"pid":1}]})");
  exercise<::process::SendInputRequest>(R"({"process":{"pid":1},"input":{"stdin":"YQ=="}})");
  exercise<::process::SendSignalRequest>(R"({"process":{"pid":1},"signal":"SIGNAL_SIGKILL"})");
  exercise<::process::CloseStdinRequest>(R"({"process":{"pid":1}})");
  exercise<::process::UpdateRequest>(
      R"({"process":{"pid":1},"pty":{"size":{"cols":80,"rows":24}}})");
  exercise<::filesystem::StatRequest>(R"({"path":"/"})");
  exercise<::filesystem::ListDirRequest>(R"({"path":"/","depth":1})");
  exercise<::filesystem::ListDirResponse>(
      R"({"entries":[{"name":"a","type":"FILE_TYPE_FILE","path":"/a","size":"4","mode":420,)"
      R"("modifiedTime":"2026-01-01T00:00:00.5Z","symlinkTarget":"/b","metadata":{"k":"v"}}]})");
  exercise<::filesystem::MoveRequest>(R"({"source":"/a","destination":"/b"})");
  exercise<::filesystem::MakeDirRequest>(R"({"path":"/"})");
  exercise<::filesystem::RemoveRequest>(R"({"path":"/"})");
  std::string frames;
  append_end_frame(frames, http::Codec::kProto, exit_report(0));
}

}  // namespace fakeapi::envd
