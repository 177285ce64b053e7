// A directory entry as the filesystem service reports it (contract-envd 4). Blocking, a handful of
// system calls.
#pragma once

#include <sys/types.h>

#include <string>

#include "emulator/base/result.h"
#include "fakeapi/envd/user_database.h"
#include "fakeapi/proto/filesystem.pb.h"

namespace fakeapi::envd {

// Go's FileMode text of a mode: "-rw-r--r--", "drwxr-xr-x", "Lrwxrwxrwx", "dtrwxrwxrwx".
std::string file_mode_text(mode_t mode);

// The entry at `path`, itself not followed when it is a symlink. The error carries lstat's errno.
base::Result<::filesystem::EntryInfo> entry_info(const std::string& path, UserDatabase& users);

}  // namespace fakeapi::envd
