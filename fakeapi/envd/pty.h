// A pseudo-terminal pair, made without grantpt (no NSS, no helper program). Used by child_process
// and for resizing.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"

namespace fakeapi::envd {

struct WindowSize {
  std::uint32_t cols = 0;
  std::uint32_t rows = 0;
};

struct Pty {
  base::UniqueFd master;
  base::UniqueFd slave;
};

// A new pair from /dev/ptmx with its size set; the terminal belongs to `owner`, so that programs
// can open it by name.
base::Result<Pty> open_pty(WindowSize size, uid_t owner);
// TIOCSWINSZ: the foreground process group gets SIGWINCH.
base::Result<> resize_pty(int master, WindowSize size);

}  // namespace fakeapi::envd
