// Which sandboxes a list request asks for: the query of GET /v2/sandboxes as a value, and the test
// of one sandbox against it. Pure. Pages are pagination.h's business.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "fakeapi/cloud/pagination.h"
#include "fakeapi/cloud/sandbox_service.h"

namespace fakeapi::cloud {

struct SandboxFilter {
  StringMap metadata;  // every pair must match
  bool running = true;
  bool paused = true;
  std::optional<base::TimePoint> started_after;  // inclusive
  std::optional<std::string> template_name;      // id or alias, as sent; resolved by the handler
};

struct ListQuery {
  SandboxFilter filter;
  PageRequest page;
};

// The query string as it stands in the target, still encoded. kInvalidArgument with the cloud's
// sentence. Parameters that the cloud does not know are ignored, as it does.
base::Result<ListQuery> parse_list_query(std::string_view query);

// The value of `metadata` after one decoding of the query string. Each key and each value was
// percent-encoded, the pairs were form-encoded, and the whole once more as a query value
// (contract-novita 2.1):
//   {"my key": "v&1"}  ->  metadata=my%252520key%3Dv%2525261  ->  here "my%2520key=v%25261"
base::Result<StringMap> parse_metadata_filter(std::string_view value);

// Everything but the template, which needs the list of templates.
bool matches(const SandboxInfo& sandbox, const SandboxFilter& filter);

}  // namespace fakeapi::cloud
