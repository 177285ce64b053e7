// A step of the start that failed, with the exit code it means. Used by the application and by what
// it starts.
#pragma once

#include <string_view>

#include "emulator/base/result.h"
#include "emulator/config/command_line.h"

namespace emulator {

struct StartFailure {
  int exit_code;
  base::Error error;
};

using StartStep = tl::expected<void, StartFailure>;

inline tl::unexpected<StartFailure> failed(int exit_code,
                                           base::Error error,
                                           std::string_view step) {
  return tl::unexpected(StartFailure{exit_code, std::move(error).context(step)});
}

// Privileges and kernel features are one exit code, everything else another.
inline int code_of(const base::Error& error) {
  bool privilege =
      error.code() == base::Errc::kPermissionDenied || error.code() == base::Errc::kUnimplemented;
  return privilege ? config::kPrivilege : config::kFailure;
}

}  // namespace emulator
