// Starts the real binary on free ports with directories of its own and talks HTTP to it; for the
// integration tests. Ends it in the destructor. Blocking, one request at a time per object of
// Client.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "emulator/base/run_tool.h"
#include "emulator/base/unique_fd.h"

namespace tests::integration {

using Json = nlohmann::json;

struct HttpAnswer {
  int status = 0;  // 0 = the connection ended before a response
  std::string body;
  bool truncated = false;  // it ended inside the body
  Json json() const { return Json::parse(body, nullptr, false); }
};

// One blocking request on a fresh connection to 127.0.0.1:port. `host` becomes the Host header.
HttpAnswer request(int port,
                   std::string_view method,
                   std::string_view path,
                   std::string_view body = {},
                   std::string_view host = "localhost",
                   const std::vector<std::pair<std::string, std::string>>& headers = {});

// The binary under test: the one that was built with the tests, or $SANDLOT_TEST_BINARY.
std::string emulator_binary();

// `sandlot WORDS... --data-dir DIR/data --run-dir DIR/run`, and what it printed.
base::ToolOutput sandlot(const std::filesystem::path& dir, const std::vector<std::string>& words);

// A directory that is removed with everything in it. A test that leaves anything of an emulator in
// the kernel fails.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class EmulatorProcess {
 public:
  struct Options {
    std::vector<std::string> flags;                  // after the defaults
    std::map<std::string, std::string> environment;  // added to ours, or instead
    std::vector<std::string> prefix = {};            // a program that runs it: setpriv, unshare
  };
  // Starts `serve` in `dir` and waits for its ready line (30 s); fails the test otherwise.
  explicit EmulatorProcess(const std::filesystem::path& dir) : EmulatorProcess(dir, Options()) {}
  EmulatorProcess(const std::filesystem::path& dir, Options options);
  ~EmulatorProcess();
  EmulatorProcess(const EmulatorProcess&) = delete;
  EmulatorProcess& operator=(const EmulatorProcess&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  bool ready() const { return port_ != 0; }
  std::string log() const;

  // SIGTERM and wait; the exit status.
  int stop();
  // SIGKILL and wait.
  void kill_hard();

  HttpAnswer api(std::string_view method, std::string_view path, const Json& body = {}) const;
  // The id of a new sandbox, or "" (the answer is in *answer).
  std::string create(const Json& extra = Json::object(), HttpAnswer* answer = nullptr) const;
  // Knows from now on the token of a sandbox that it did not create: `info` names both.
  void adopt(const Json& info) const;
  // Runs `bash -l -c command` through envd and waits: {exit code (-1: none), stdout}.
  struct Ran {
    int exit_code = -1;
    std::string out;
    std::string err;
    bool ended = false;
  };
  Ran run(const std::string& sandbox,
          const std::string& command,
          const std::string& user = "user") const;
  Json state() const { return api("GET", "/_sandlot/state").json(); }

 private:
  void start(const Options& options);
  int wait_for_exit();
  std::filesystem::path dir_;
  pid_t pid_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;  // tests may call from many threads
  mutable std::map<std::string, std::string> tokens_;
};

// What is left in the kernel of any instance that used this data and run directory: cgroups,
// mounts, processes. Empty = nothing.
std::vector<std::string> kernel_leftovers(const std::filesystem::path& dir);

// The same, and the directories of sandboxes.
std::vector<std::string> leftovers(const std::filesystem::path& dir);

}  // namespace tests::integration
