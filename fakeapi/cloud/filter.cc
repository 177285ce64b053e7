#include "fakeapi/cloud/filter.h"

#include <algorithm>

#include "fakeapi/cloud/api_error.h"
#include "fakeapi/cloud/time_text.h"
#include "fakeapi/http/message.h"

namespace fakeapi::cloud {

using base::Errc;
using base::Result;

namespace {

// "running,paused"; an empty list asks for everything.
Result<> read_states(std::string_view text, SandboxFilter& filter, bool& given) {
  while (!text.empty()) {
    auto comma = text.find(',');
    std::string_view state = text.substr(0, comma);
    if (!given) filter.running = filter.paused = false;
    given = true;
    if (state == "running") {
      filter.running = true;
    } else if (state == "paused") {
      filter.paused = true;
    } else {
      return bad_parameter("state",
                           "value is not one of the allowed values [\"running\",\"paused\"]");
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return {};
}

}  // namespace

Result<StringMap> parse_metadata_filter(std::string_view value) {
  StringMap pairs;
  while (!value.empty()) {
    auto end = value.find('&');
    std::string_view pair = value.substr(0, end);
    auto equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return base::fail(Errc::kInvalidArgument,
                        "Error parsing metadata: invalid key value pair in query");
    }
    auto decode = [](std::string_view text) {
      return http::percent_decode(http::form_decode(text));
    };
    pairs[decode(pair.substr(0, equals))] = decode(pair.substr(equals + 1));
    if (end == std::string_view::npos) break;
    value.remove_prefix(end + 1);
  }
  return pairs;
}

Result<ListQuery> parse_list_query(std::string_view query) {
  ListQuery list;
  bool states_given = false;
  std::optional<std::string> token;
  for (const auto& [name, value] : http::parse_query(query)) {
    if (name == "metadata") {
      SANDLOT_TRY(StringMap pairs, parse_metadata_filter(value));
      list.filter.metadata.merge(pairs);
    } else if (name == "state") {
      SANDLOT_CHECK(read_states(value, list.filter, states_given));
    } else if (name == "limit") {
      auto limit = parse_limit(value);
      if (!limit) return bad_parameter("limit", limit.error().message());
      list.page.limit = *limit;
    } else if (name == "order" && !value.empty()) {
      if (value != "asc" && value != "desc") {
        return bad_parameter("order", "value is not one of the allowed values [\"asc\",\"desc\"]");
      }
      list.page.order = value == "asc" ? Order::kOldestFirst : Order::kNewestFirst;
    } else if (name == "startedAfter" && !value.empty()) {
      list.filter.started_after = parse_rfc3339(value);
      if (!list.filter.started_after) {
        return bad_parameter("startedAfter", "value is not an RFC 3339 date-time");
      }
    } else if (name == "template" && !value.empty()) {
      list.filter.template_name = value;
    } else if (name == "nextToken" && !value.empty()) {
      token = value;
    }
  }
  // Last, because a token is good for one order only and `order` may come after it.
  if (token) {
    SANDLOT_TRY(list.page.after, parse_token(*token, list.page.order));
  }
  return list;
}

bool matches(const SandboxInfo& sandbox, const SandboxFilter& filter) {
  bool running = sandbox.state == SandboxState::kRunning;
  if (running ? !filter.running : !filter.paused) return false;
  if (filter.started_after && sandbox.started_at < *filter.started_after) return false;
  if (filter.metadata.empty()) return true;
  if (!sandbox.metadata) return false;
  return std::all_of(filter.metadata.begin(), filter.metadata.end(), [&](const auto& wanted) {
    auto found = sandbox.metadata->find(wanted.first);
    return found != sandbox.metadata->end() && found->second == wanted.second;
  });
}

}  // namespace fakeapi::cloud
