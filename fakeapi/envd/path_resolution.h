// How a path in a request becomes a path in the file system (contract-envd 1.11). Pure.
#pragma once

#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::envd {

// Lexical cleaning: no "." or "..", no doubled or trailing slash.
std::string clean_path(std::string_view path);

// "" is the default workdir or the home; "~", "~/x" and relative paths are below the home; an
// absolute path is used as it is. kInvalidArgument for "~name" and for a NUL byte.
base::Result<std::string> resolve_path(std::string_view path,
                                       std::string_view home,
                                       std::string_view default_workdir);

// The last element, as basename(1) prints it.
std::string base_name(std::string_view path);
// Everything before it; "/" or "." when there is nothing.
std::string parent_path(std::string_view path);

}  // namespace fakeapi::envd
