// Public URLs as sandboxes see them, and whom sandboxes trust: what the composition adds for them
// when the emulator has a domain of its own. Used by the application.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "emulator/network_stack.h"
#include "emulator/proxy/certificate_authority.h"
#include "emulator/proxy/front_door.h"
#include "emulator/proxy/listener.h"
#include "emulator/sandboxes/base_template.h"
#include "emulator/start_failure.h"

namespace emulator {

// Where sandboxes arrive that ask for a public URL on one of `ports`; null under *.localhost, where
// none does. Not started yet.
tl::expected<std::unique_ptr<proxy::Listener>, StartFailure> open_own_door(
    const boost::asio::any_io_executor& executor,
    const std::string& domain,
    proxy::FrontDoor& door,
    std::vector<std::uint16_t> ports,
    NetworkStack& network);

// The authorities that templates trust beside the machine's.
std::vector<sandboxes::TrustedRoot> trusted_roots(const std::string& domain,
                                                  const proxy::CertificateAuthority& local,
                                                  const NetworkStack& network);

}  // namespace emulator
