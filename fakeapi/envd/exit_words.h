// How a process ended, in the words that SDKs show (contract-envd 2.4, Go's wording). Pure.
#pragma once

#include <string>

namespace fakeapi::envd {

struct ExitReport {
  int exit_code = 0;  // -1 when a signal ended it
  bool exited = false;
  std::string status;  // "exit status 3", "signal: killed"
};

// From wait(2)'s status.
ExitReport exit_report(int wait_status);

// An errno in Go's words: strerror's with a small first letter ("no such file or directory").
std::string errno_words(int error_number);

}  // namespace fakeapi::envd
