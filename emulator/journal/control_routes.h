// The request journal in the control API. Used by emulator/application, which hands the routes to
// the control API.
//   GET /_sandlot/requests?limit=&follow=    docs/control-api.md
#pragma once

#include <vector>

#include "emulator/control/route.h"
#include "emulator/journal/request_journal.h"

namespace emulator::journal {

// `journal` outlives the handlers.
std::vector<control::ControlRoute> control_routes(RequestJournal& journal);

}  // namespace emulator::journal
