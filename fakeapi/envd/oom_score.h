// Lets a command be born as the kernel's first choice when the sandbox's memory is full
// (oom_score_adj 100, contract-envd 2.4). A child of the agent inherits the score at its clone and
// cannot write its own before the exec, because the agent is not dumpable: so the agent wears the
// score for the moment of the clone. The child gives the agent its own back at once, through the
// agent's file: until the exec the agent waits in the kernel, and would be its first choice for all
// that time. Used by child_process; knows no process.
#pragma once

#include <string>

#include "emulator/base/unique_fd.h"

namespace fakeapi::envd {

class OomScore {
 public:
  // `file` is the agent's own /proc/self/oom_score_adj, open for reading and writing. Without one
  // (no /proc) nothing changes.
  explicit OomScore(base::UniqueFd file);

  // The score of commands for as long as it lives.
  class ForCommand {
   public:
    explicit ForCommand(const OomScore& score);
    ~ForCommand();
    ForCommand(const ForCommand&) = delete;
    ForCommand& operator=(const ForCommand&) = delete;

   private:
    const OomScore& score_;
  };

  // What the child writes, to which descriptor (-1: nothing).
  int file() const { return own_.empty() ? -1 : file_.get(); }
  const std::string& own() const { return own_; }

 private:
  void write(const std::string& value) const;

  base::UniqueFd file_;
  std::string own_;
};

}  // namespace fakeapi::envd
