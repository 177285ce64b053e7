#include "emulator/own_door.h"

namespace emulator {

tl::expected<std::unique_ptr<proxy::Listener>, StartFailure> open_own_door(
    const boost::asio::any_io_executor& executor,
    const std::string& domain,
    proxy::FrontDoor& door,
    std::vector<std::uint16_t> ports,
    NetworkStack& network) {
  if (domain == "localhost") return nullptr;
  proxy::ListenOptions options{.address = "127.0.0.1", .from_sandboxes = true};
  auto listener = proxy::Listener::open(executor, door, options);
  if (!listener) return failed(config::kFailure, listener.error(), "listen");
  network.set_own_door((*listener)->port(), std::move(ports));
  return std::move(*listener);
}

std::vector<sandboxes::TrustedRoot> trusted_roots(const std::string& domain,
                                                  const proxy::CertificateAuthority& local,
                                                  const NetworkStack& network) {
  const auto& egress = network.egress_authority();
  std::vector<sandboxes::TrustedRoot> roots = {{"sandlot-egress", egress.pem(), egress.hash()}};
  // Without names of its own that sandboxes can resolve, nothing of it is theirs to trust.
  if (domain != "localhost") roots.push_back({"sandlot-local", local.pem(), local.hash()});
  if (const auto* internet = network.internet_authority())
    roots.push_back({"sandlot-fake-internet", internet->pem(), internet->hash()});
  return roots;
}

}  // namespace emulator
