// The fake internet in the control API: what arrived, what exists. Used by emulator/application,
// which hands the routes to the control API; answers 404 with the reason when there is no fake
// internet.
//   GET    /_sandlot/fakenet/canary?address=&port=&protocol=    counters and events
//   DELETE /_sandlot/fakenet/canary                             forgets them
//   GET    /_sandlot/fakenet/hosts                              names, addresses, ports, DNS
//   entries GET    /_sandlot/fakenet/ca.pem                             the certificate that
//   sandboxes trust
#pragma once

#include <string>
#include <vector>

#include "emulator/control/route.h"
#include "emulator/fakenet/fake_internet.h"

namespace emulator::fakenet {

// `internet` outlives the handlers; null: there is none.
std::vector<control::ControlRoute> control_routes(FakeInternet* internet);

}  // namespace emulator::fakenet
