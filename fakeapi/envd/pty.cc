#include "fakeapi/envd/pty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "emulator/base/posix.h"

namespace fakeapi::envd {

namespace {

unsigned short dimension(std::uint32_t value) {
  return static_cast<unsigned short>(std::min<std::uint32_t>(value, 65535));
}

}  // namespace

base::Result<> resize_pty(int master, WindowSize size) {
  winsize window{};
  window.ws_col = dimension(size.cols);
  window.ws_row = dimension(size.rows);
  if (::ioctl(master, TIOCSWINSZ, &window) != 0) return base::fail_errno("TIOCSWINSZ");
  return {};
}

base::Result<Pty> open_pty(WindowSize size, uid_t owner) {
  Pty pty;
  SANDLOT_TRY(pty.master, base::open_file("/dev/ptmx", O_RDWR | O_NOCTTY));
  int unlocked = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &unlocked) != 0) return base::fail_errno("TIOCSPTLCK");
  // By descriptor, not by /dev/pts/N: right even where the root's /dev/pts is another instance.
  int slave = ::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return base::fail_errno("TIOCGPTPEER");
  pty.slave.reset(slave);
  SANDLOT_CHECK(resize_pty(pty.master.get(), size));
  // What login(1) does; without it screen, gpg and the like cannot open their terminal. Best
  // effort.
  if (::fchown(slave, owner, static_cast<gid_t>(-1)) != 0) errno = 0;
  return pty;
}

}  // namespace fakeapi::envd
