// An agent in a child process on a loopback port, and a small blocking client to drive it. For the
// tests of this folder. Users, homes and identity files live in a temporary directory; nothing
// outside it is written.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "emulator/base/unique_fd.h"
#include "fakeapi/envd/agent.h"
#include "fakeapi/envd/sandbox_configuration.h"
#include "fakeapi/http/connect_frame.h"
#include "fakeapi/http/connection.h"

namespace envd_tests {

using nlohmann::json;

// Removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Reply {
  int status = 0;
  fakeapi::http::Headers headers;
  std::string body;
};

// One connection. Every wait ends after ten seconds (status 0, empty answers).
class Client {
 public:
  explicit Client(std::uint16_t port);
  using Headers = fakeapi::http::Headers;
  // A request with Content-Length, and its whole response.
  Reply request(const std::string& method,
                const std::string& target,
                Headers headers = {},
                const std::string& body = "");
  void send(const std::string& method,
            const std::string& target,
            Headers headers,
            const std::string& body);
  void send_raw(std::string_view bytes);
  // The next response's head; status 0 when the connection ended.
  Reply read_head(bool head_request = false);
  // The next piece of its body; "" at its end, nullopt when the connection broke off inside it.
  std::optional<std::string> read_body();
  std::string read_whole_body();
  // Whether an answer, or the end, has begun to arrive in this time.
  bool readable_within(std::chrono::milliseconds wait) const;
  void close() { fd_.reset(); }
  void reset();

 private:
  bool fill();
  base::UniqueFd fd_;
  std::string buffer_;
  fakeapi::http::BodyScanner scanner_;
};

// A server-streaming call in JSON.
class Stream {
 public:
  Stream(std::uint16_t port,
         const std::string& method,
         const json& request,
         Client::Headers headers = {});
  // The next event's "event" object (or the whole message when it has none); nullopt at the end
  // frame or a broken stream.
  std::optional<json> next();
  // After next() gave nullopt: the payload of the end frame, or null when there was none.
  const json& end() const { return end_; }
  // Reads to the end. `output` collects stdout, stderr and pty bytes, decoded.
  struct Output {
    std::string stdout_bytes, stderr_bytes, pty_bytes;
    json end_event;  // the process's end, null when the stream had none
    json end;        // the end frame
  };
  Output finish();
  // Reads events until this much text has come on any output.
  bool wait_for(const std::string& text);
  // Whether the first event was "start".
  bool started() const { return started_; }
  std::uint32_t pid() const { return pid_; }
  void close() { client_.close(); }
  int status() const { return status_; }

 private:
  void take(const json& event);
  Client client_;
  fakeapi::http::FrameReader frames_;
  Output output_;
  json end_;
  bool started_ = false;
  std::uint32_t pid_ = 0;
  int status_ = 0;
};

class RunningAgent {
 public:
  // An ordinary process, or pid 1 of a pid namespace of its own with its own /proc.
  enum class Role { kProcess, kInit };
  // Named first, then claimed, as a pooled sandbox is; kNamed stops before the second message.
  enum class Life { kNamed, kClaimed };
  explicit RunningAgent(std::string access_token = "",
                        Role role = Role::kProcess,
                        Life life = Life::kClaimed,
                        fakeapi::envd::AgentOptions options = {});
  RunningAgent(const RunningAgent&) = delete;
  RunningAgent& operator=(const RunningAgent&) = delete;
  ~RunningAgent();

  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  const std::string& root() const { return directory_.path(); }
  std::string home() const { return root() + "/home/user"; }
  Client client() const { return Client(port_); }
  // A unary call; the status and the parsed body.
  std::pair<int, json> call(const std::string& method,
                            const json& request,
                            Client::Headers headers = {}) const;
  // A command by /bin/sh -c, as commands.run sends it.
  Stream start(const std::string& command,
               json extra = json::object(),
               Client::Headers headers = {}) const;
  // Stops the agent's process for this long.
  void suspend(std::chrono::milliseconds duration) const;
  // The agent's exit status after the control channel was closed; -1 when it did not end in time.
  int stop();
  // Makes a named one somebody's.
  void claim(std::string access_token = "", std::string default_user = "user");

 private:
  void configure(const fakeapi::envd::SandboxConfiguration& configuration);
  TemporaryDirectory directory_;
  base::UniqueFd control_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

// "Basic " and base64("<user>:").
fakeapi::http::Headers as_user(const std::string& user);

}  // namespace envd_tests
