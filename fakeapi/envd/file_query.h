// The query of GET and POST /files as a value (contract-envd 1.6-1.8). Pure: nothing is checked or
// looked up here, that is file_request's business.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/envd/signature.h"

namespace fakeapi::envd {

struct FileQuery {
  std::optional<std::string> path;
  std::optional<std::string> username;
  SignedRequest access;
};

// `query` as it stands in the target, still encoded; the first of a repeated parameter counts.
// `operation` is "read" or "write". kInvalidArgument with the daemon's text.
base::Result<FileQuery> parse_file_query(std::string_view query, std::string operation);

}  // namespace fakeapi::envd
