// What becomes of input that a process does not take: it waits, and ends with its caller, with its
// time limit or with the process, and never holds up the next one (contract-envd 2.5).
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakeapi/envd/base64.h"
#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kPipe = 65536;

json input_to(std::uint32_t pid, std::string_view bytes) {
  return {{"process", {{"pid", pid}}}, {"input", {{"stdin", fakeapi::envd::base64_encode(bytes)}}}};
}

Client::Headers unary_headers() {
  Client::Headers headers;
  headers.set("Content-Type", "application/json");
  return headers;
}

// A SendInput that nobody has answered yet.
Client pending_input(const RunningAgent& agent, std::uint32_t pid, std::size_t size) {
  Client client = agent.client();
  client.send("POST", "/process.Process/SendInput", unary_headers(),
              input_to(pid, std::string(size, 'x')).dump());
  return client;
}

int close_stdin(const RunningAgent& agent, std::uint32_t pid) {
  return agent.call("process.Process/CloseStdin", {{"process", {{"pid", pid}}}}).first;
}

std::string stream_frame(const json& message) {
  std::string frame;
  fakeapi::http::append_frame(frame, 0, message.dump());
  return frame;
}

std::string start_frame(std::uint32_t pid) {
  return stream_frame({{"start", {{"process", {{"pid", pid}}}}}});
}

std::string data_frame(std::string_view bytes) {
  return stream_frame({{"data", {{"input", {{"stdin", fakeapi::envd::base64_encode(bytes)}}}}}});
}

json stream_input(const RunningAgent& agent, const std::string& frames) {
  Client client = agent.client();
  Client::Headers headers;
  headers.set("Content-Type", "application/connect+json");
  Reply reply = client.request("POST", "/process.Process/StreamInput", headers, frames);
  EXPECT_EQ(reply.status, 200);
  fakeapi::http::FrameReader reader;
  reader.feed(reply.body);
  json last;
  for (auto frame = reader.next(); frame && *frame; frame = reader.next()) {
    last = json::parse((*frame)->payload, nullptr, false);
  }
  return last;
}

TEST(Input, EndsWhenTheClientLeavesAndLetsTheNextOneWrite) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 1; wc -c", {{"stdin", true}});
  Client gone = pending_input(agent, stream.pid(), 1000000);
  std::this_thread::sleep_for(milliseconds(200));
  gone.close();
  EXPECT_EQ(agent.call("process.Process/SendInput", input_to(stream.pid(), "abc")).first, 200);
  EXPECT_EQ(close_stdin(agent, stream.pid()), 200);
  EXPECT_EQ(stream.finish().stdout_bytes, std::to_string(kPipe + 3) + "\n")
      << "what was in the pipe stays there, the rest is not written";
}

TEST(Input, WhoeverWaitsForATurnMayLeaveToo) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 1; wc -c", {{"stdin", true}});
  Client first = pending_input(agent, stream.pid(), 100000);
  std::this_thread::sleep_for(milliseconds(100));
  Client second = pending_input(agent, stream.pid(), 1000);
  std::this_thread::sleep_for(milliseconds(100));
  second.reset();
  EXPECT_EQ(agent.call("process.Process/SendInput", input_to(stream.pid(), "abc")).first, 200);
  EXPECT_EQ(first.read_head().status, 200);
  EXPECT_EQ(close_stdin(agent, stream.pid()), 200);
  EXPECT_EQ(stream.finish().stdout_bytes, "100003\n");
}

TEST(Input, EndsWithTheProcess) {
  RunningAgent agent;
  // The grandchild keeps the reading end of the pipe open.
  Stream stream = agent.start(
      "exec 3<&0; sleep 3 <&3 >/dev/null 2>&1 & echo up; exec sleep 100 3<&-", {{"stdin", true}});
  ASSERT_TRUE(stream.wait_for("up"));
  Client waiting = pending_input(agent, stream.pid(), 1000000);
  std::this_thread::sleep_for(milliseconds(100));
  auto before = steady_clock::now();
  agent.call("process.Process/SendSignal",
             {{"process", {{"pid", stream.pid()}}}, {"signal", "SIGNAL_SIGKILL"}});
  EXPECT_EQ(waiting.read_head().status, 500);
  EXPECT_EQ(json::parse(waiting.read_whole_body())["message"],
            "error writing to stdin: stdin not enabled or closed");
  EXPECT_LT(steady_clock::now() - before, milliseconds(2000));
  EXPECT_EQ(stream.finish().end_event["status"], "signal: killed");
}

TEST(Input, EndsWithCloseStdin) {
  RunningAgent agent;
  Stream stream = agent.start("exec sleep 100", {{"stdin", true}});
  Client waiting = pending_input(agent, stream.pid(), 1000000);
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(close_stdin(agent, stream.pid()), 200);
  EXPECT_EQ(waiting.read_head().status, 500);
}

TEST(Input, EndsAtItsTimeLimit) {
  RunningAgent agent;
  Stream stream = agent.start("exec sleep 100", {{"stdin", true}});
  Client::Headers headers;
  headers.set("Connect-Timeout-Ms", "200");
  auto [status, body] = agent.call("process.Process/SendInput",
                                   input_to(stream.pid(), std::string(1000000, 'x')), headers);
  EXPECT_EQ(status, 504);
  EXPECT_EQ(body["code"], "deadline_exceeded");
}

TEST(Input, OfAStreamWhoseClientLeavesEndsBehindMuchThatNobodyHasRead) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 2; wc -c", {{"stdin", true}});
  Client gone = agent.client();
  Client::Headers headers;
  headers.set("Content-Type", "application/connect+json");
  // More than is read ahead; less than what would keep the end of it in the client's own kernel.
  std::string frames = start_frame(stream.pid()) + data_frame(std::string(100000, 'x')) +
                       data_frame(std::string(75000, 'x'));
  gone.send("POST", "/process.Process/StreamInput", headers, frames);
  std::this_thread::sleep_for(milliseconds(300));
  gone.close();
  EXPECT_EQ(agent.call("process.Process/SendInput", input_to(stream.pid(), "abc")).first, 200);
  EXPECT_EQ(close_stdin(agent, stream.pid()), 200);
  EXPECT_EQ(stream.finish().stdout_bytes, std::to_string(kPipe + 3) + "\n");
}

TEST(Input, OfAStreamIsWrittenWholeWhenTheProcessReadsLater) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 0.6; wc -c", {{"stdin", true}});
  std::string frames = start_frame(stream.pid());
  for (int i = 0; i < 4; ++i) frames += data_frame(std::string(100000, 'x'));
  EXPECT_EQ(stream_input(agent, frames), json::object());
  EXPECT_EQ(close_stdin(agent, stream.pid()), 200);
  EXPECT_EQ(stream.finish().stdout_bytes, "400000\n");
}

TEST(Input, OfAStreamHasItsOwnErrors) {
  RunningAgent agent;
  EXPECT_EQ(stream_input(agent, data_frame("x"))["error"]["code"], "invalid_argument");
  EXPECT_EQ(stream_input(agent, start_frame(999999))["error"],
            json::parse(R"({"code":"not_found","message":"process with pid 999999 not found"})"));
  EXPECT_EQ(stream_input(agent,
                         stream_frame({{"start", {{"process", json::object()}}}}))["error"]["code"],
            "unimplemented");
  Stream stream = agent.start("cat", {{"stdin", true}});
  std::string frames = start_frame(stream.pid()) + stream_frame({{"keepalive", json::object()}}) +
                       data_frame("ab") + stream_frame({{"keepalive", json::object()}});
  EXPECT_EQ(stream_input(agent, frames), json::object());
  EXPECT_TRUE(stream.wait_for("ab"));
  EXPECT_EQ(stream_input(
                agent, start_frame(stream.pid()) +
                           stream_frame({{"data", {{"input", json::object()}}}}))["error"]["code"],
            "unimplemented");
}

}  // namespace
}  // namespace envd_tests
