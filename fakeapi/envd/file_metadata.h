// A file's user metadata: extended attributes user.e2b.<key>, set by X-Metadata-<key> headers on
// upload and shown in entries (contract-envd 1.7, 4). Blocking, quick.
#pragma once

#include <map>
#include <string>

#include "emulator/base/result.h"
#include "fakeapi/http/message.h"

namespace fakeapi::envd {

using Metadata = std::map<std::string, std::string>;

// The X-Metadata-* headers: keys in lower case, the first value of a key wins. kInvalidArgument
// "invalid metadata: ..." over the limits (printable ASCII, key at most 246 bytes, 4096 in all).
base::Result<Metadata> metadata_of(const http::Headers& headers);

// What the file carries; symlinks are followed; values that are not UTF-8 are left out.
Metadata read_metadata(const std::string& path);

// Makes the file's metadata exactly `wanted`; touches nothing when it is so already. A file system
// without user attributes is not an error (logged nowhere: the agent has no log). kNoSpace when
// they do not fit.
base::Result<> replace_metadata(int fd, const Metadata& wanted);

}  // namespace fakeapi::envd
