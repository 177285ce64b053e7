// Messages of the daemon in both codecs, compressed or not: what was read can be written in either
// codec and read again.
#include <memory>

#include <google/protobuf/util/message_differencer.h>

#include "fakeapi/http/connect_message.h"
#include "fakeapi/proto/filesystem.pb.h"
#include "fakeapi/proto/process.pb.h"
#include "tests/fuzz/target.h"

namespace {

using fakeapi::http::Codec;
using google::protobuf::Message;
using tests::fuzz::require;

// Every message that a client sends.
const std::vector<const Message*>& prototypes() {
  static const std::vector<const Message*> all = {
      &process::StartRequest::default_instance(),
      &process::ConnectRequest::default_instance(),
      &process::UpdateRequest::default_instance(),
      &process::StreamInputRequest::default_instance(),
      &process::SendInputRequest::default_instance(),
      &process::SendSignalRequest::default_instance(),
      &process::CloseStdinRequest::default_instance(),
      &process::ListRequest::default_instance(),
      &filesystem::StatRequest::default_instance(),
      &filesystem::MakeDirRequest::default_instance(),
      &filesystem::MoveRequest::default_instance(),
      &filesystem::ListDirRequest::default_instance(),
      &filesystem::RemoveRequest::default_instance(),
      &filesystem::WatchDirRequest::default_instance(),
      &filesystem::CreateWatcherRequest::default_instance(),
      &filesystem::GetWatcherEventsRequest::default_instance(),
      &filesystem::RemoveWatcherRequest::default_instance(),
  };
  return all;
}

void read_back(Codec codec, const Message& message) {
  auto bytes = fakeapi::http::serialize_message(codec, message);
  require(bytes.has_value(), "a message that was read can be written");
  if (!bytes) return;
  std::unique_ptr<Message> again(message.New());
  require(fakeapi::http::parse_message(codec, *bytes, *again).has_value(),
          "a message that was written can be read");
  // JSON has no place for unknown fields.
  std::unique_ptr<Message> known(message.New());
  known->CopyFrom(message);
  known->DiscardUnknownFields();
  again->DiscardUnknownFields();
  require(google::protobuf::util::MessageDifferencer::Equals(*known, *again),
          "writing and reading changes nothing");
}

}  // namespace

// Byte 0: the message; byte 1: the envelope's flags and the codec; then the payload.
FUZZ_TARGET(connect_message) {
  // protobuf would write a line for every bad string.
  static auto* const silenced = google::protobuf::SetLogHandler(nullptr);
  (void)silenced;
  tests::fuzz::Input in(input);
  const auto& all = prototypes();
  std::unique_ptr<Message> message(all[in.byte() % all.size()]->New());
  std::uint8_t mode = in.byte();
  Codec codec = (mode & 0x80U) != 0 ? Codec::kProto : Codec::kJson;
  fakeapi::http::Frame frame;
  frame.flags = mode & 0x0FU;
  frame.payload = std::string(in.rest());
  bool gzip = (mode & 0x40U) != 0;
  if (!fakeapi::http::open_frame(std::move(frame), gzip, codec, *message)) return;
  read_back(Codec::kProto, *message);
  read_back(Codec::kJson, *message);
}
