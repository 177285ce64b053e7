// Every route of the cloud's API that Sandlot does not have yet, so that no SDK call ends in a 404:
// each answers 501 with what is missing. A route leaves this table in the change that builds it.
// Used by cloud_api, README's table and tests. Sources: contract-novita 2 and 7.3, 7.4, the
// published OpenAPI document of E2B.
#pragma once

#include <span>
#include <string_view>

namespace fakeapi::cloud {

struct NotBuiltRoute {
  std::string_view method;
  std::string_view pattern;
  std::string_view what;  // the subject of "... is not built yet"
};

std::span<const NotBuiltRoute> not_built_routes();

}  // namespace fakeapi::cloud
