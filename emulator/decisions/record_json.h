// A record of the decision log as one line of JSON. Pure. The columns are a superset of the cloud's
// own egress table.
#pragma once

#include <string>
#include <string_view>

#include "emulator/decisions/decision_log.h"

namespace emulator::decisions {

std::string to_json_line(const Record& record);  // without the line feed
std::string_view to_string(netfilter::egress::CloseReason reason);
std::string_view decision_word(bool allowed);  // "allowed" or "blocked"

}  // namespace emulator::decisions
