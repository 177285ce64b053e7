// process.Process against a running agent: what commands and terminals see.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "fakeapi/envd/base64.h"
#include "tests/envd/agent_harness.h"

namespace envd_tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::StartsWith;

std::string b64(std::string_view bytes) {
  return fakeapi::envd::base64_encode(bytes);
}

json by_pid(std::uint32_t pid) {
  return {{"process", {{"pid", pid}}}};
}

bool alive(std::uint32_t pid) {
  return ::kill(static_cast<pid_t>(pid), 0) == 0;
}

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

TEST(Process, CommandStreamsOutputAndExitStatusZero) {
  RunningAgent agent;
  Stream stream = agent.start("echo out; echo err >&2");
  EXPECT_EQ(stream.status(), 200);
  EXPECT_GT(stream.pid(), 0U);
  auto output = stream.finish();
  EXPECT_EQ(output.stdout_bytes, "out\n");
  EXPECT_EQ(output.stderr_bytes, "err\n");
  EXPECT_EQ(output.end_event, json::parse(R"({"exited":true,"status":"exit status 0"})"));
  EXPECT_EQ(output.end, json::object());
}

TEST(Process, FailureCarriesExitCodeAndError) {
  RunningAgent agent;
  auto output = agent.start("exit 3").finish();
  EXPECT_EQ(
      output.end_event,
      json::parse(
          R"({"exitCode":3,"exited":true,"status":"exit status 3","error":"exit status 3"})"));
}

TEST(Process, SignalIsReportedInGosWords) {
  RunningAgent agent;
  auto output = agent.start("kill -TERM $$").finish();
  EXPECT_EQ(
      output.end_event,
      json::parse(R"({"exitCode":-1,"status":"signal: terminated","error":"signal: terminated"})"));
}

TEST(Process, UnknownCommandExits127WithAMessage) {
  RunningAgent agent;
  auto output =
      agent.start("", {{"process", {{"cmd", "no-such-program"}, {"args", json::array()}}}})
          .finish();
  EXPECT_EQ(output.end_event["exitCode"], 127);
  EXPECT_THAT(output.stderr_bytes, HasSubstr("'no-such-program': No such file or directory"));
  ASSERT_TRUE(base::write_file(agent.root() + "/plain", "x", 0644));
  output =
      agent.start("", {{"process", {{"cmd", agent.root() + "/plain"}, {"args", json::array()}}}})
          .finish();
  EXPECT_EQ(output.end_event["exitCode"], 126);
}

TEST(Process, ScriptWithoutInterpreterLineRunsInAShell) {
  RunningAgent agent;
  std::string script = agent.root() + "/script";
  ASSERT_TRUE(base::write_file(script, "echo script $1\n", 0755));
  auto output = agent.start("", {{"process", {{"cmd", script}, {"args", {"arg"}}}}}).finish();
  EXPECT_EQ(output.stdout_bytes, "script arg\n");
}

TEST(Process, RunsAsTheSelectedUserWithItsGroups) {
  RunningAgent agent;
  auto output =
      agent.start("id -u; id -g; id -G; pwd; umask; cat /proc/self/oom_score_adj; nice").finish();
  EXPECT_EQ(output.stdout_bytes, "1000\n1000\n1000 27 4242\n" + agent.home() + "\n0022\n100\n0\n");
  output = agent.start("id -u; id -G; pwd", json::object(), as_user("root")).finish();
  EXPECT_EQ(output.stdout_bytes, "0\n0 4242\n" + agent.root() + "/root\n");
}

TEST(Process, UnknownUserIsUnauthenticated) {
  RunningAgent agent;
  Stream stream = agent.start("true", json::object(), as_user("root123"));
  EXPECT_EQ(stream.status(), 200);
  EXPECT_EQ(stream.end()["error"],
            json::parse(R"({"code":"unauthenticated","message":"invalid username: 'root123'"})"));
}

TEST(Process, EnvironmentIsBaseThenSandboxThenRequest) {
  RunningAgent agent;
  auto output = agent
                    .start("", {{"process",
                                 {{"cmd", "/usr/bin/env"},
                                  {"args", json::array()},
                                  {"envs", {{"MINE", "1"}, {"FROM_CREATE", "changed"}}}}}})
                    .finish();
  EXPECT_EQ(output.stdout_bytes,
            "E2B_EVENTS_ADDRESS=http://"
            "192.0.2.1\nE2B_SANDBOX=true\nE2B_SANDBOX_ID=i0123456789abcdefghij\n"
            "E2B_TEMPLATE_ID=base\nFROM_CREATE=changed\nHOME=" +
                agent.home() +
                "\nLOGNAME=user\nMINE=1\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/"
                "sbin:/bin\nUSER=user\n");
}

TEST(Process, ChildHasOnlyItsThreeDescriptorsAndDefaultSignals) {
  RunningAgent agent;
  auto output =
      agent.start("ls /proc/self/fd | wc -l; grep -E 'Sig(Ign|Blk)' /proc/self/status").finish();
  // ls itself has its directory open as a fourth.
  EXPECT_EQ(output.stdout_bytes, "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Process, IsTheKernelsFirstChoiceWhenMemoryIsFullAndTheAgentIsNot) {
  RunningAgent agent;
  std::ifstream own("/proc/self/oom_score_adj");
  std::string inherited;
  std::getline(own, inherited);
  // The agent takes its own back when it runs again after the clone.
  auto output = agent
                    .start(
                        "cat /proc/self/oom_score_adj; for i in $(seq 100); do "
                        "agent=$(cat /proc/$PPID/oom_score_adj); [ $agent = " +
                        inherited + " ] && break; sleep 0.05; done; echo $agent")
                    .finish();
  EXPECT_EQ(output.stdout_bytes, "100\n" + inherited + "\n");
}

TEST(Process, MissingDirectoryIsInvalidArgumentBeforeStart) {
  RunningAgent agent;
  Stream stream = agent.start("pwd", {{"process", {{"cwd", "/no/such/dir"}}}});
  EXPECT_EQ(stream.pid(), 0U);
  EXPECT_EQ(stream.end()["error"]["code"], "invalid_argument");
  EXPECT_EQ(stream.end()["error"]["message"], "cwd '/no/such/dir' does not exist");
}

TEST(Process, ForbiddenDirectoryIsInvalidArgument) {
  RunningAgent agent;
  Stream stream = agent.start("pwd", {{"process", {{"cwd", agent.root() + "/root"}}}});
  EXPECT_EQ(stream.end()["error"]["code"], "invalid_argument");
  EXPECT_EQ(stream.end()["error"]["message"],
            "error starting process '/bin/sh': fork/exec /bin/sh: permission denied");
}

TEST(Process, RelativeDirectoryIsBelowTheHome) {
  RunningAgent agent;
  std::filesystem::create_directory(agent.home() + "/sub");
  auto output = agent.start("pwd", {{"process", {{"cwd", "sub"}}}}).finish();
  EXPECT_EQ(output.stdout_bytes, agent.home() + "/sub\n");
}

TEST(Process, StdinPipeCarriesInputUntilClosed) {
  RunningAgent agent;
  Stream stream = agent.start("cat", {{"stdin", true}});
  json input = by_pid(stream.pid());
  input["input"] = {{"stdin", b64("hello ")}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input), std::pair(200, json::object()));
  EXPECT_TRUE(stream.wait_for("hello "));
  input["input"] = {{"stdin", ""}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  EXPECT_EQ(agent.call("process.Process/CloseStdin", by_pid(stream.pid())).first, 200);
  auto output = stream.finish();
  EXPECT_EQ(output.stdout_bytes, "hello ");
  EXPECT_EQ(output.end_event["status"], "exit status 0");
}

TEST(Process, UnsetStdinMeansAPipe) {
  RunningAgent agent;
  json config = {{"cmd", "sh"}, {"args", {"-c", "cat; echo over; exec sleep 5"}}};
  Stream stream(agent.port(), "process.Process/Start", {{"process", config}});
  EXPECT_EQ(agent.call("process.Process/CloseStdin", by_pid(stream.pid())).first, 200);
  EXPECT_TRUE(stream.wait_for("over"));
  EXPECT_EQ(agent.call("process.Process/CloseStdin", by_pid(stream.pid())).first, 200)
      << "twice is fine";
}

TEST(Process, InputWithoutStdinIsAnError) {
  RunningAgent agent;
  Stream stream = agent.start("read x; sleep 5");
  json input = by_pid(stream.pid());
  input["input"] = {{"stdin", b64("x")}};
  auto [status, body] = agent.call("process.Process/SendInput", input);
  EXPECT_EQ(status, 500);
  EXPECT_EQ(body["code"], "internal");
  EXPECT_EQ(body["message"], "error writing to stdin: stdin not enabled or closed");
  input["input"] = {{"pty", b64("x")}};
  EXPECT_THAT(agent.call("process.Process/SendInput", input).second["message"].get<std::string>(),
              StartsWith("error writing to tty: tty not assigned to process"));
}

TEST(Process, InputLargerThanThePipeWaitsForTheReader) {
  RunningAgent agent;
  Stream stream = agent.start("wc -c", {{"stdin", true}});
  json input = by_pid(stream.pid());
  input["input"] = {{"stdin", b64(std::string(1000000, 'x'))}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  agent.call("process.Process/CloseStdin", by_pid(stream.pid()));
  EXPECT_EQ(stream.finish().stdout_bytes, "1000000\n");
}

TEST(Process, StreamInputWritesMessagesInOrder) {
  RunningAgent agent;
  Stream stream = agent.start("head -c 6", {{"stdin", true}});
  std::string body;
  fakeapi::http::append_frame(body, 0, json({{"start", by_pid(stream.pid())}}).dump());
  for (const char* text : {"ab", "cd", "ef"}) {
    fakeapi::http::append_frame(body, 0,
                                json({{"data", {{"input", {{"stdin", b64(text)}}}}}}).dump());
  }
  Client client = agent.client();
  fakeapi::http::Headers headers;
  headers.set("Content-Type", "application/connect+json");
  Reply reply = client.request("POST", "/process.Process/StreamInput", headers, body);
  std::string expected;
  fakeapi::http::append_frame(expected, 0, "{}");
  fakeapi::http::append_frame(expected, 2, "{}");
  EXPECT_EQ(reply.body, expected);
  EXPECT_EQ(stream.finish().stdout_bytes, "abcdef");
}

TEST(Process, KillEndsItAndThePidIsGoneAtOnce) {
  RunningAgent agent;
  Stream stream = agent.start("exec sleep 100");
  json request = by_pid(stream.pid());
  request["signal"] = "SIGNAL_SIGKILL";
  EXPECT_EQ(agent.call("process.Process/SendSignal", request), std::pair(200, json::object()));
  EXPECT_FALSE(alive(stream.pid()));
  auto output = stream.finish();
  EXPECT_EQ(output.end_event["status"], "signal: killed");
  EXPECT_EQ(agent.call("process.Process/SendSignal", request).first, 404);
}

TEST(Process, KillDoesNotWaitForAGrandchildThatHoldsThePipe) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 4 & echo started; wait");
  ASSERT_TRUE(stream.wait_for("started"));
  auto before = steady_clock::now();
  json request = by_pid(stream.pid());
  request["signal"] = "SIGNAL_SIGTERM";
  EXPECT_EQ(agent.call("process.Process/SendSignal", request).first, 200);
  EXPECT_EQ(stream.finish().end_event["status"], "signal: terminated");
  EXPECT_LT(since(before), milliseconds(2000));
}

TEST(Process, EndWaitsForABackgroundGrandchildsOutput) {
  RunningAgent agent;
  auto output = agent.start("(sleep 0.3; echo late) & echo early").finish();
  EXPECT_EQ(output.stdout_bytes, "early\nlate\n");
}

TEST(Process, OtherSignalsAreUnimplemented) {
  RunningAgent agent;
  Stream stream = agent.start("sleep 5");
  json request = by_pid(stream.pid());
  request["signal"] = 2;
  auto [status, body] = agent.call("process.Process/SendSignal", request);
  EXPECT_EQ(status, 501);
  EXPECT_THAT(body["message"].get<std::string>(), StartsWith("invalid signal: "));
}

TEST(Process, SelectorErrorsNameWhatWasAskedFor) {
  RunningAgent agent;
  EXPECT_EQ(
      agent.call("process.Process/CloseStdin", by_pid(999999)),
      std::pair(404, json::parse(
                         R"({"code":"not_found","message":"process with pid 999999 not found"})")));
  EXPECT_EQ(
      agent.call("process.Process/CloseStdin", {{"process", {{"tag", "x"}}}}).second["message"],
      "process with tag x not found");
  EXPECT_EQ(agent.call("process.Process/CloseStdin", {{"process", json::object()}}).first, 501);
}

TEST(Process, TimeoutKillsTheProcessAndEndsWithDeadlineExceeded) {
  RunningAgent agent;
  fakeapi::http::Headers headers;
  headers.set("Connect-Timeout-Ms", "300");
  auto before = steady_clock::now();
  Stream stream = agent.start("exec sleep 100", json::object(), headers);
  auto output = stream.finish();
  EXPECT_EQ(output.end["error"],
            json::parse(R"({"code":"deadline_exceeded","message":"context deadline exceeded"})"));
  EXPECT_TRUE(output.end_event.is_null());
  EXPECT_GE(since(before), milliseconds(290));
  for (int i = 0; i < 100 && alive(stream.pid()); ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(alive(stream.pid()));
}

TEST(Process, TimeoutHoldsAfterTheClientHasLeft) {
  RunningAgent agent;
  fakeapi::http::Headers headers;
  headers.set("Connect-Timeout-Ms", "300");
  Stream stream = agent.start("exec sleep 100", json::object(), headers);
  stream.close();
  for (int i = 0; i < 300 && alive(stream.pid()); ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(alive(stream.pid()));
}

TEST(Process, TimeStandsStillForAFrozenAgent) {
  RunningAgent agent;
  fakeapi::http::Headers headers;
  headers.set("Connect-Timeout-Ms", "2500");
  Stream stream = agent.start("exec sleep 100", json::object(), headers);
  // Stopped by a signal as the freezer would stop it: what passes meanwhile is not the command's
  // time.
  agent.suspend(milliseconds(4000));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(alive(stream.pid()));
  EXPECT_EQ(stream.finish().end["error"]["code"], "deadline_exceeded");
  for (int i = 0; i < 100 && alive(stream.pid()); ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(alive(stream.pid()));
}

TEST(Process, DisconnectLeavesItRunningAndConnectSeesTheRest) {
  RunningAgent agent;
  Stream stream = agent.start("read x; echo got $x", {{"stdin", true}});
  std::uint32_t pid = stream.pid();
  stream.close();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_TRUE(alive(pid));
  Stream again(agent.port(), "process.Process/Connect", by_pid(pid));
  EXPECT_EQ(again.pid(), pid);
  json input = by_pid(pid);
  input["input"] = {{"stdin", b64("it\n")}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  auto output = again.finish();
  EXPECT_EQ(output.stdout_bytes, "got it\n");
  EXPECT_EQ(output.end_event["status"], "exit status 0");
}

TEST(Process, OutputWithoutSubscribersIsDiscarded) {
  RunningAgent agent;
  std::string done = agent.home() + "/done";
  Stream stream = agent.start("sleep 0.1; head -c 3000000 /dev/zero; touch done; sleep 5");
  stream.close();
  for (int i = 0; i < 400 && !std::filesystem::exists(done); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(std::filesystem::exists(done));
}

TEST(Process, SlowSubscriberHoldsBackTheProcess) {
  RunningAgent agent;
  std::string done = agent.home() + "/done";
  Stream stream = agent.start("head -c 24000000 /dev/zero; touch done");
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(std::filesystem::exists(done));
  auto output = stream.finish();
  EXPECT_EQ(output.stdout_bytes.size(), 24000000U);
  EXPECT_TRUE(std::filesystem::exists(done));
}

TEST(Process, EverySubscriberGetsEverything) {
  RunningAgent agent;
  Stream first = agent.start("read x; echo all", {{"stdin", true}});
  Stream second(agent.port(), "process.Process/Connect", by_pid(first.pid()));
  json input = by_pid(first.pid());
  input["input"] = {{"stdin", b64("\n")}};
  agent.call("process.Process/SendInput", input);
  EXPECT_EQ(first.finish().stdout_bytes, "all\n");
  EXPECT_EQ(second.finish().stdout_bytes, "all\n");
}

TEST(Process, EndedProcessStaysConnectable) {
  RunningAgent agent;
  Stream stream = agent.start("exit 7");
  stream.finish();
  Stream again(agent.port(), "process.Process/Connect", by_pid(stream.pid()));
  EXPECT_EQ(again.pid(), stream.pid());
  EXPECT_EQ(again.finish().end_event["exitCode"], 7);
  Stream unknown(agent.port(), "process.Process/Connect", by_pid(999999));
  EXPECT_EQ(unknown.end()["error"]["code"], "not_found");
}

TEST(Process, ConnectsOwnTimeoutLeavesTheProcessAlive) {
  RunningAgent agent;
  Stream stream = agent.start("exec sleep 100");
  fakeapi::http::Headers headers;
  headers.set("Connect-Timeout-Ms", "100");
  Stream again(agent.port(), "process.Process/Connect", by_pid(stream.pid()), headers);
  EXPECT_EQ(again.finish().end["error"]["code"], "deadline_exceeded");
  EXPECT_TRUE(alive(stream.pid()));
}

TEST(Process, ListShowsLivingProcessesWithTheirConfig) {
  RunningAgent agent;
  Stream stream = agent.start(
      "exec sleep 100", {{"tag", "mine"}, {"process", {{"envs", {{"A", "b"}}}, {"cwd", "/"}}}});
  auto [status, body] = agent.call("process.Process/List", json::object());
  EXPECT_EQ(status, 200);
  ASSERT_EQ(body["processes"].size(), 1U);
  json expected = {{"config",
                    {{"cmd", "/bin/sh"},
                     {"args", {"-c", "exec sleep 100"}},
                     {"envs", {{"A", "b"}}},
                     {"cwd", "/"}}},
                   {"pid", stream.pid()},
                   {"tag", "mine"}};
  EXPECT_EQ(body["processes"][0], expected);
  Stream by_tag(agent.port(), "process.Process/Connect", {{"process", {{"tag", "mine"}}}});
  EXPECT_EQ(by_tag.pid(), stream.pid());
  agent.call("process.Process/SendSignal",
             {{"process", {{"tag", "mine"}}}, {"signal", "SIGNAL_SIGKILL"}});
  stream.finish();
  EXPECT_EQ(agent.call("process.Process/List", json::object()).second, json::object());
}

TEST(Process, KeepaliveComesWhenNothingElseDoes) {
  RunningAgent agent;
  fakeapi::http::Headers headers;
  headers.set("Keepalive-Ping-Interval", "1");
  Stream stream = agent.start("sleep 100", json::object(), headers);
  auto before = steady_clock::now();
  auto event = stream.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(*event, json::parse(R"({"keepalive":{}})"));
  EXPECT_GE(since(before), milliseconds(900));
}

TEST(Process, EventsEndOnCharacterBoundariesWhenTheRestComes) {
  RunningAgent agent;
  // 32768 is not a multiple of three: the naive cut is inside a character.
  std::string euros;
  for (int i = 0; i < 48000; ++i) euros += "\xE2\x82\xAC";
  ASSERT_TRUE(base::write_file(agent.home() + "/euros", euros));
  Stream stream = agent.start("cat euros");
  std::string all;
  while (auto event = stream.next()) {
    if (!event->contains("data")) continue;
    std::string piece =
        *fakeapi::envd::base64_decode((*event)["data"]["stdout"].get<std::string>());
    EXPECT_EQ(piece.size() % 3, 0U);
    EXPECT_LE(piece.size(), 32768U);
    all += piece;
  }
  EXPECT_EQ(all.size(), 144000U);
}

TEST(Process, UnfinishedCharacterIsSentRawAfterAMoment) {
  RunningAgent agent;
  Stream stream = agent.start("printf 'a\\342\\202'; exec sleep 5");
  EXPECT_TRUE(stream.wait_for("a\xE2\x82"));
}

TEST(Process, BinaryCodecCarriesTheSameEvents) {
  RunningAgent agent;
  // StartRequest{process{cmd:"echo", args:["hi"]}, stdin:false}
  std::string message(
      "\x0A\x0A\x0A\x04"
      "echo\x12\x02hi\x20\x00",
      14);
  std::string body;
  fakeapi::http::append_frame(body, 0, message);
  Client client = agent.client();
  fakeapi::http::Headers headers;
  headers.set("Content-Type", "application/connect+proto");
  Reply reply = client.request("POST", "/process.Process/Start", headers, body);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("Content-Type"), "application/connect+proto");
  fakeapi::http::FrameReader frames;
  frames.feed(reply.body);
  std::vector<fakeapi::http::Frame> all;
  while (auto frame = *frames.next()) all.push_back(*frame);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].payload, std::string("\x0A\x07\x12\x05\x0A\x03hi\n", 9));
  EXPECT_EQ(all[2].payload, std::string("\x0A\x13\x1A\x11\x10\x01\x1A\x0D"
                                        "exit status 0",
                                        21));
  EXPECT_EQ(all[3].flags, 2);
  EXPECT_EQ(all[3].payload, "{}");
}

TEST(Pty, ShellHasATerminalOfTheRequestedSize) {
  RunningAgent agent;
  json request = {{"process",
                   {{"cmd", "/bin/bash"},
                    {"args", {"-i"}},
                    {"envs", {{"TERM", "xterm-256color"}, {"PS1", "$ "}}}}},
                  {"pty", {{"size", {{"cols", 91}, {"rows", 33}}}}}};
  Stream stream(agent.port(), "process.Process/Start", request);
  ASSERT_GT(stream.pid(), 0U);
  auto type = [&](const std::string& text) {
    json input = by_pid(stream.pid());
    input["input"] = {{"pty", b64(text)}};
    EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  };
  type("stty size; tty >/dev/null && echo terminal\n");
  EXPECT_TRUE(stream.wait_for("33 91"));
  EXPECT_TRUE(stream.wait_for("terminal\r\n"));
  json update = by_pid(stream.pid());
  update["pty"] = {{"size", {{"cols", 100}, {"rows", 24}}}};
  EXPECT_EQ(agent.call("process.Process/Update", update).first, 200);
  type("stty size\n");
  EXPECT_TRUE(stream.wait_for("24 100"));
  type("exec 3</dev/tty && echo controlling\n");
  EXPECT_TRUE(stream.wait_for("controlling\r\n"));
  type("exit\n");
  auto output = stream.finish();
  EXPECT_EQ(output.end_event["status"], "exit status 0");
}

TEST(Pty, ReconnectTypesASecondCommand) {
  RunningAgent agent;
  json request = {{"process", {{"cmd", "/bin/sh"}}},
                  {"pty", {{"size", {{"cols", 80}, {"rows", 24}}}}}};
  Stream stream(agent.port(), "process.Process/Start", request);
  std::uint32_t pid = stream.pid();
  stream.close();
  Stream again(agent.port(), "process.Process/Connect", by_pid(pid));
  json input = by_pid(pid);
  input["input"] = {{"pty", b64("echo again; exit 5\n")}};
  EXPECT_EQ(agent.call("process.Process/SendInput", input).first, 200);
  auto output = again.finish();
  EXPECT_THAT(output.pty_bytes, HasSubstr("again\r\n"));
  EXPECT_EQ(output.end_event["exitCode"], 5);
}

TEST(Pty, MixedUpCallsAreExplained) {
  RunningAgent agent;
  json request = {{"process", {{"cmd", "/bin/sh"}}},
                  {"pty", {{"size", {{"cols", 80}, {"rows", 24}}}}}};
  Stream terminal(agent.port(), "process.Process/Start", request);
  json input = by_pid(terminal.pid());
  input["input"] = {{"stdin", b64("x")}};
  EXPECT_THAT(agent.call("process.Process/SendInput", input).second["message"].get<std::string>(),
              StartsWith("error writing to stdin: tty assigned to process"));
  auto closed = agent.call("process.Process/CloseStdin", by_pid(terminal.pid()));
  EXPECT_EQ(closed.second["code"], "unknown");
  Stream plain = agent.start("sleep 5");
  json update = by_pid(plain.pid());
  EXPECT_EQ(agent.call("process.Process/Update", update).first, 200) << "nothing to do is fine";
  update["pty"] = {{"size", {{"cols", 1}, {"rows", 1}}}};
  auto resized = agent.call("process.Process/Update", update);
  EXPECT_EQ(resized.second["message"], "error resizing tty: tty not assigned to process");
}

TEST(Agent, WritesItsIdentityAndEndsWithItsChannel) {
  RunningAgent agent;
  std::string root = agent.root() + "/identity";
  EXPECT_EQ(*base::read_file(root + "/run/e2b/.E2B_SANDBOX"), "true");
  EXPECT_EQ(*base::read_file(root + "/run/e2b/.E2B_SANDBOX_ID"), "i0123456789abcdefghij");
  EXPECT_EQ(*base::read_file(root + "/run/e2b/.E2B_TEMPLATE_ID"), "base");
  EXPECT_EQ(*base::read_file(root + "/.e2b"), "ENV_ID=base\nTEMPLATE_ID=base\nBUILD_ID=b1\n");
  struct stat info {};
  ASSERT_EQ(::stat((root + "/run/e2b/.E2B_SANDBOX").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0444U);
  Stream stream = agent.start("exec sleep 100");
  EXPECT_EQ(agent.stop(), 0);
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.end().is_null()) << "a stream that dies with its sandbox has no end frame";
}

TEST(Agent, NamedAheadOfNeedServesNobodyUntilItIsClaimed) {
  RunningAgent agent("", RunningAgent::Role::kProcess, RunningAgent::Life::kNamed);
  std::string id = agent.root() + "/identity/run/e2b/.E2B_SANDBOX_ID";
  EXPECT_EQ(*base::read_file(id), "i0123456789abcdefghij");
  struct stat named {};
  ASSERT_EQ(::stat(id.c_str(), &named), 0);
  Client early = agent.client();
  early.send("GET", "/health", {}, "");
  EXPECT_FALSE(early.readable_within(std::chrono::milliseconds(200)));
  agent.claim("secret");
  EXPECT_EQ(early.read_head().status, 204) << "who came early was kept waiting, not lost";
  EXPECT_EQ(agent.client().request("GET", "/envs").status, 401);
  struct stat claimed {};
  ASSERT_EQ(::stat(id.c_str(), &claimed), 0);
  EXPECT_EQ(claimed.st_ino, named.st_ino) << "written once";
}

TEST(Agent, AsPidOneReapsOrphansAndTakesEverythingWithIt) {
  RunningAgent agent("", RunningAgent::Role::kInit);
  // The orphan's parent is gone before it ends: only pid 1 can wait for it.
  auto output =
      agent
          .start(
              "echo $$; (sleep 0.05 & echo $! >orphan); sleep 0.3; kill -0 $(cat orphan) 2>&1; "
              "grep -l '^State:.Z' /proc/[0-9]*/status; echo done")
          .finish();
  EXPECT_THAT(output.stdout_bytes, testing::MatchesRegex("[0-9]+\n.*No such process\n\n?done\n"));
  EXPECT_LT(std::stoi(output.stdout_bytes), 50) << "pids are those of the namespace";
  output = agent.start("cat /proc/1/environ /proc/1/maps; ls /proc/1/fd").finish();
  EXPECT_EQ(output.stdout_bytes, "") << "pid 1 is nobody's to read";
  output =
      agent.start("kill -9 1; kill -9 -1; echo alive", json::object(), as_user("root")).finish();
  EXPECT_EQ(agent.client().request("GET", "/health").status, 204);
  Stream stream = agent.start("exec sleep 100");
  EXPECT_EQ(agent.stop(), 0);
  EXPECT_FALSE(stream.next());
}

TEST(Agent, TwentyCommandsAtOnce) {
  RunningAgent agent;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 20; ++i) {
    streams.push_back(
        std::make_unique<Stream>(agent.start("sleep 0.1; echo " + std::to_string(i))));
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(streams[static_cast<std::size_t>(i)]->finish().stdout_bytes,
              std::to_string(i) + "\n");
}

}  // namespace
}  // namespace envd_tests
