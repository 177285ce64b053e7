// The bodies of the events and logs routes as JSON text. Used by the records handler.
#pragma once

#include <map>
#include <span>
#include <string>

#include "fakeapi/cloud/events.h"
#include "fakeapi/cloud/sandbox_logs.h"

namespace fakeapi::cloud {

// {"items": [...], "total", "hasMore"}; `names`: of templates, by id.
std::string events_json(const EventPage& page,
                        const EventQuery& query,
                        const std::map<std::string, std::string>& names);
// {"logs": [{timestamp, line}], "logEntries": [entry]}
std::string logs_json(std::span<const LogEntry> entries);
// {"logs": [entry]}
std::string logs_v2_json(std::span<const LogEntry> entries);

}  // namespace fakeapi::cloud
