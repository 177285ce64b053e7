// Runs a program of the host (iptables-restore, tar, e2fsprogs) and waits for it. Used off the loop
// by whoever needs one; never for processes of a sandbox. The server's heap makes fork dear, so the
// child is vforked; it inherits the calling thread's namespaces, which is how a program is run
// inside another network namespace (netfilter::run_in_netns). It is killed when this
// process dies. There is no shell anywhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "emulator/base/result.h"

namespace base {

struct ToolSpec {
  std::vector<std::string>
      argv;  // argv[0] is a path, or a name looked up in PATH and then in the sbin folders
  std::string stdin_text = {};  // all of the child's standard input
  std::vector<std::pair<std::string, std::string>> environment =
      {};  // added to ours, or replacing it
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  std::size_t output_limit = 1U << 20U;  // bytes kept of each stream; the rest is read and dropped
};

struct ToolOutput {
  int exit_code = 0;  // 128 + signal when a signal ended it
  std::string out = {};
  std::string err = {};
  bool cut = false;  // there was more than `output_limit`
};

// A program that ends with any exit code is a ToolOutput; errors are: kNotFound (no such program),
// the errno of a failed start, kDeadlineExceeded (killed after `timeout`). Blocking.
Result<ToolOutput> run_tool(const ToolSpec& spec);

// The program's path as run_tool would find it; kNotFound otherwise.
Result<std::string> find_tool(const std::string& name);

}  // namespace base
