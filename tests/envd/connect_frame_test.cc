// Connect's bytes: envelopes, error bodies, codes, timeouts; and the hand-written output frames
// against the message objects they replace.
#include "fakeapi/http/connect_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakeapi/envd/process_frames.h"
#include "fakeapi/http/connect_rpc.h"
#include "fakeapi/http/gzip.h"
#include "fakeapi/http/json_text.h"
#include "fakeapi/proto/process.pb.h"

namespace fakeapi::http {
namespace {

TEST(ConnectFrame, EnvelopesSurviveEveryCut) {
  std::string bytes;
  append_frame(bytes, 0, "first");
  append_frame(bytes, 1, "");
  append_frame(bytes, 2, std::string(300, 'x'));
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      reader.feed(std::string_view(bytes).substr(at, step));
      while (auto frame = *reader.next()) frames.push_back(*frame);
    }
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].payload, "first");
    EXPECT_EQ(frames[1].flags, 1);
    EXPECT_EQ(frames[2].payload.size(), 300U);
    EXPECT_FALSE(reader.incomplete());
  }
}

TEST(ConnectFrame, OversizedEnvelopeIsRefusedFromItsHead) {
  FrameReader reader(10);
  reader.feed(std::string("\0\0\0\0\x0B", 5));
  EXPECT_EQ(reader.next().error().code(), base::Errc::kTooLarge);
}

TEST(ConnectError, BodiesAndStatuses) {
  EXPECT_EQ(error_json(ConnectError(ConnectCode::kNotFound, "no \"x\"\n\x01")),
            R"({"code":"not_found","message":"no \"x\"\n\u0001"})");
  EXPECT_EQ(end_stream_json(RpcStatus()), "{}");
  EXPECT_EQ(end_stream_json(rpc_fail(ConnectCode::kCanceled, "")),
            R"({"error":{"code":"canceled"}})");
  EXPECT_EQ(http_status(ConnectCode::kCanceled), 499);
  EXPECT_EQ(http_status(ConnectCode::kResourceExhausted), 429);
  EXPECT_EQ(http_status(ConnectCode::kUnimplemented), 501);
  ConnectError mapped = base::Error(base::Errc::kNoSpace, "full");
  EXPECT_EQ(to_string(mapped.code), "resource_exhausted");
}

TEST(ConnectTimeout, AtMostTenDigits) {
  EXPECT_EQ(parse_connect_timeout("60000")->count(), 60000);
  EXPECT_EQ(parse_connect_timeout("0")->count(), 0);
  EXPECT_EQ(parse_connect_timeout("9999999999")->count(), 9999999999);
  for (const char* bad : {"", "-1", "+1", "1.5", "10000000000", "1s"})
    EXPECT_FALSE(parse_connect_timeout(bad)) << bad;
}

TEST(JsonText, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(valid_utf8("a\xFF\xC3\xA9\xE2\x82"), "a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(utf8_character("\xED\xA0\x80"), 0U) << "a surrogate";
  EXPECT_EQ(utf8_character("\xC0\x80"), 0U) << "overlong";
  EXPECT_EQ(utf8_character("\xF4\x90\x80\x80"), 0U) << "above U+10FFFF";
  EXPECT_EQ(utf8_character("\xF0\x9F\x98\x80"), 4U);
}

TEST(Gzip, BothWaysAndInPieces) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i * 7919);
  std::string packed;
  GzipWriter writer;
  for (std::size_t at = 0; at < text.size(); at += 1000)
    writer.write(std::string_view(text).substr(at, 1000), packed);
  writer.finish(packed);
  EXPECT_EQ(*gunzip(packed, text.size()), text);
  EXPECT_EQ(gunzip(packed, text.size() - 1).error().code(), base::Errc::kTooLarge);
  EXPECT_FALSE(gunzip(packed.substr(0, packed.size() / 2), text.size()));
  EXPECT_FALSE(gunzip("not gzip at all", 1000));
  EXPECT_EQ(*gunzip(packed + packed, text.size() * 2), text + text);
}

TEST(ProcessFrames, HandWrittenFramesEqualTheMessages) {
  using envd::OutputKind;
  for (std::size_t size : {0U, 1U, 2U, 3U, 100U, 127U, 128U, 20000U}) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i * 31));
    for (OutputKind kind : {OutputKind::kStdout, OutputKind::kStderr, OutputKind::kPty}) {
      ::process::StartResponse message;
      auto* data = message.mutable_event()->mutable_data();
      if (kind == OutputKind::kStdout) data->set_stdout(bytes);
      if (kind == OutputKind::kStderr) data->set_stderr(bytes);
      if (kind == OutputKind::kPty) data->set_pty(bytes);
      for (Codec codec : {Codec::kJson, Codec::kProto}) {
        std::string expected;
        append_frame(expected, 0, *serialize_message(codec, message));
        std::string written;
        envd::append_output_frame(written, codec, kind, bytes);
        EXPECT_EQ(written, expected);
      }
    }
  }
}

TEST(ProcessFrames, StartAndEnd) {
  std::string written;
  envd::append_start_frame(written, Codec::kJson, 42);
  EXPECT_EQ(written.substr(5), R"({"event":{"start":{"pid":42}}})");
  written.clear();
  envd::append_end_frame(written, Codec::kJson, envd::exit_report(0));
  EXPECT_EQ(written.substr(5), R"({"event":{"end":{"exited":true,"status":"exit status 0"}}})");
  written.clear();
  envd::append_keepalive_frame(written, Codec::kJson);
  EXPECT_EQ(written.substr(5), R"({"event":{"keepalive":{}}})");
}

}  // namespace
}  // namespace fakeapi::http
