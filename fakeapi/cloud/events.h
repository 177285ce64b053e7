// What happened to sandboxes, and questions about it: GET /sandboxes/events (contract-novita 2.1).
// Values, and the port to whoever keeps them (emulator/events). Pure but for the port.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct SandboxEvent {
  std::int64_t number = 0;  // grows with each; set by the keeper
  base::TimePoint time;
  std::string sandbox_id;
  std::string template_id;
  std::string name;  // create, pause, resume, connect, timeout, delete
  bool success = true;
  int status_code = 0;  // of the call, or what it would have been
  std::string error;
};

struct EventQuery {
  base::TimePoint start;  // both inclusive, to the second
  base::TimePoint end;
  std::string sandbox_id;   // a part of it; "" = any
  std::string template_id;  // as above
  std::vector<std::string> names;
  std::string state;  // "success" or "failed"; "" = any
  bool oldest_first = false;
  std::size_t offset = 0;
  std::size_t limit = 10;
};

struct EventPage {
  std::vector<SandboxEvent> items;
  std::size_t total = 0;  // that match, on all pages
};

class EventLog {
 public:
  virtual ~EventLog() = default;
  virtual base::Task<EventPage> find(EventQuery query) = 0;
};

inline constexpr std::string_view kSuccess = "success";
inline constexpr std::string_view kFailed = "failed";

// The query string of the request. Without times: the last 30 days. kInvalidArgument: a bad number,
// an end that is not after its start, more than 60 days, a limit that is not 1 to 100.
base::Result<EventQuery> parse_event_query(std::string_view query, base::TimePoint now);

}  // namespace fakeapi::cloud
