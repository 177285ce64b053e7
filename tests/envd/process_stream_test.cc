// The events of Start and Connect: their sizes and order, slow and many readers, and limits that do
// not count frozen time (contract-envd 2.4, 2.5).
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakeapi/envd/base64.h"
#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

json by_pid(std::uint32_t pid) {
  return {{"process", {{"pid", pid}}}};
}

Client::Headers with_timeout(const std::string& milliseconds_text) {
  Client::Headers headers;
  headers.set("Connect-Timeout-Ms", milliseconds_text);
  return headers;
}

// The sizes of the data events of one kind, to the end of the stream.
std::vector<std::size_t> sizes_of(Stream& stream, const char* kind) {
  std::vector<std::size_t> sizes;
  while (auto event = stream.next()) {
    if (!event->contains("data") || !(*event)["data"].contains(kind)) continue;
    auto bytes = fakeapi::envd::base64_decode((*event)["data"][kind].get<std::string>());
    sizes.push_back(bytes.value_or("").size());
  }
  return sizes;
}

std::string numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST(ProcessStream, NoEventOfAPipeIsLargerThan32KiB) {
  RunningAgent agent;
  for (const char* command : {"head -c 3000000 /dev/zero", "head -c 3000000 /dev/zero >&2"}) {
    Stream stream = agent.start(command);
    const char* kind = std::string(command).ends_with("2") ? "stderr" : "stdout";
    auto sizes = sizes_of(stream, kind);
    std::size_t sum = 0;
    for (std::size_t size : sizes) sum += size;
    EXPECT_EQ(sum, 3000000U);
    EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), 32768U);
    EXPECT_EQ(stream.end(), json::object());
  }
}

TEST(ProcessStream, NoEventOfATerminalIsLargerThan16KiB) {
  RunningAgent agent;
  Stream stream = agent.start("stty -opost; head -c 500000 /dev/zero",
                              {{"pty", {{"size", {{"cols", 80}, {"rows", 24}}}}}});
  auto sizes = sizes_of(stream, "pty");
  std::size_t sum = 0;
  for (std::size_t size : sizes) sum += size;
  EXPECT_EQ(sum, 500000U);
  EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), 16384U);
}

TEST(ProcessStream, EachStreamIsInOrderBetweenStartAndEnd) {
  RunningAgent agent;
  Stream stream = agent.start("seq 1 60000; seq 1 60000 >&2");
  EXPECT_GT(stream.pid(), 0U) << "start comes first";
  json last;
  while (auto event = stream.next()) last = *event;
  EXPECT_TRUE(last.contains("end")) << "the end comes last: " << last;
  auto output = stream.finish();
  EXPECT_EQ(output.stdout_bytes, numbers(60000));
  EXPECT_EQ(output.stderr_bytes, numbers(60000));
}

TEST(ProcessStream, AnEventIsSentAtOnce) {
  RunningAgent agent;
  Stream stream = agent.start("echo now; exec sleep 100");
  auto before = steady_clock::now();
  EXPECT_TRUE(stream.wait_for("now\n"));
  EXPECT_LT(steady_clock::now() - before, seconds(2));
}

TEST(ProcessStream, OneSlowReaderHoldsBackAllUntilItLeaves) {
  RunningAgent agent;
  const std::string done = agent.home() + "/done";
  Stream slow = agent.start("read x; head -c 24000000 /dev/zero; touch done", {{"stdin", true}});
  Stream quick(agent.port(), "process.Process/Connect", by_pid(slow.pid()));
  json input = by_pid(slow.pid());
  input["input"] = {{"stdin", fakeapi::envd::base64_encode("\n")}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  std::thread leave([&slow, &done] {
    std::this_thread::sleep_for(milliseconds(500));
    EXPECT_FALSE(std::filesystem::exists(done)) << "the process waits for the slow one";
    slow.close();
  });
  EXPECT_EQ(quick.finish().stdout_bytes.size(), 24000000U) << "the other one misses nothing";
  leave.join();
  EXPECT_TRUE(std::filesystem::exists(done));
}

TEST(ProcessStream, ManyReadersGetTheSameBytes) {
  RunningAgent agent;
  std::vector<std::unique_ptr<Stream>> readers;
  readers.push_back(
      std::make_unique<Stream>(agent.start("read x; seq 1 20000", {{"stdin", true}})));
  json which = by_pid(readers.front()->pid());
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::make_unique<Stream>(agent.port(), "process.Process/Connect", which));
  }
  json input = which;
  input["input"] = {{"stdin", fakeapi::envd::base64_encode("\n")}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  for (auto& reader : readers) {
    auto output = reader->finish();
    EXPECT_EQ(output.stdout_bytes, numbers(20000));
    EXPECT_EQ(output.end_event["status"], "exit status 0");
  }
}

TEST(ProcessStream, AnEndedProcessTakesNoInputAndNoSignalsAndIsInNoList) {
  RunningAgent agent;
  Stream stream = agent.start("exit 7", {{"tag", "over"}});
  stream.finish();
  Stream by_tag(agent.port(), "process.Process/Connect", {{"process", {{"tag", "over"}}}});
  EXPECT_EQ(by_tag.finish().end_event["exitCode"], 7);
  for (const char* method : {"SendInput", "SendSignal", "CloseStdin", "Update"}) {
    EXPECT_EQ(agent.call(std::string("process.Process/") + method, by_pid(stream.pid())).first, 404)
        << method;
  }
  EXPECT_EQ(agent.call("process.Process/List", json::object()).second, json::object());
}

TEST(ProcessStream, TheNiceValueIsZeroWhateverTheDaemonsIs) {
  RunningAgent agent;
  ASSERT_EQ(::setpriority(PRIO_PROCESS, static_cast<id_t>(agent.pid()), 5), 0);
  EXPECT_EQ(agent.start("nice").finish().stdout_bytes, "0\n");
}

TEST(ProcessStream, TheLimitOfAConnectDoesNotCountFrozenTime) {
  RunningAgent agent;
  Stream stream = agent.start("exec sleep 100");
  Stream again(agent.port(), "process.Process/Connect", by_pid(stream.pid()), with_timeout("2500"));
  agent.suspend(milliseconds(4000));
  auto before = steady_clock::now();
  EXPECT_EQ(again.finish().end["error"]["code"], "deadline_exceeded");
  EXPECT_GE(steady_clock::now() - before, milliseconds(1000));
  EXPECT_LT(steady_clock::now() - before, milliseconds(2600));
}

TEST(ProcessStream, TheLimitOfAWatchDoesNotCountFrozenTime) {
  RunningAgent agent;
  Stream watch(agent.port(), "filesystem.Filesystem/WatchDir", {{"path", "."}},
               with_timeout("2500"));
  agent.suspend(milliseconds(4000));
  auto before = steady_clock::now();
  EXPECT_EQ(watch.finish().end["error"]["code"], "deadline_exceeded");
  EXPECT_GE(steady_clock::now() - before, milliseconds(1000));
}

// A connection on which nobody asks for anything (contract-envd 1.1: 640 seconds).
fakeapi::envd::AgentOptions idle_after(milliseconds limit) {
  fakeapi::envd::AgentOptions options;
  options.idle_limit = limit;
  return options;
}

TEST(IdleConnection, IsClosedAndOneThatIsUsedIsNot) {
  RunningAgent agent("", RunningAgent::Role::kProcess, RunningAgent::Life::kClaimed,
                     idle_after(milliseconds(600)));
  Client client = agent.client();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(client.request("GET", "/health").status, 204);
    std::this_thread::sleep_for(milliseconds(300));
  }
  EXPECT_EQ(client.request("GET", "/health").status, 204);
  auto before = steady_clock::now();
  EXPECT_EQ(client.read_head().status, 0) << "the end of the connection";
  EXPECT_GE(steady_clock::now() - before, milliseconds(500));
  EXPECT_LT(steady_clock::now() - before, milliseconds(5000));
}

TEST(IdleConnection, IsNotOneWithAStream) {
  RunningAgent agent("", RunningAgent::Role::kProcess, RunningAgent::Life::kClaimed,
                     idle_after(milliseconds(300)));
  Stream stream = agent.start("sleep 1; echo still here");
  auto output = stream.finish();
  EXPECT_EQ(output.stdout_bytes, "still here\n");
  EXPECT_EQ(output.end, json::object());
}

TEST(IdleConnection, DoesNotAgeWhileTheSandboxIsFrozen) {
  RunningAgent agent("", RunningAgent::Role::kProcess, RunningAgent::Life::kClaimed,
                     idle_after(milliseconds(1600)));
  Client client = agent.client();
  EXPECT_EQ(client.request("GET", "/health").status, 204);
  agent.suspend(milliseconds(3000));
  EXPECT_EQ(client.request("GET", "/health").status, 204);
}

TEST(IdleConnection, MayStayForSixHundredAndFortySeconds) {
  EXPECT_EQ(fakeapi::envd::AgentOptions().idle_limit, seconds(640));
}

}  // namespace
}  // namespace envd_tests
