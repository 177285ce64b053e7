// Connections of sandboxes to hosts that have header rules: TLS ends here on both sides, requests
// get their headers, everything else passes as it came (contract-network 2.10). The egress proxy
// judges and dials, and hands over what was allowed. Made by NetworkStack; lives on its loop.
//
// The server's certificate is checked for the name before the sandbox gets one of ours, so that
// nobody but that host ever sees a value; requests for another Host on the same connection get
// none. Over plain http there is nothing to check, which is why the proxy dials such connections by
// name, as the machine resolves it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "emulator/base/result.h"
#include "emulator/intercept/authority.h"
#include "emulator/intercept/header_rules.h"
#include "emulator/proxy/channel.h"
#include "emulator/proxy/tls.h"
#include "netfilter/egress/flow.h"
#include "netfilter/egress/relay.h"

namespace emulator::intercept {

class Interceptor {
 public:
  // The rules of a sandbox as they are now; nullptr: none. Asked for each request.
  using RulesOf = std::function<std::shared_ptr<const HeaderRules>(const std::string& sandbox_id)>;

  // `roots` (PEM): who may vouch for servers. `authority` outlives this.
  static base::Result<std::unique_ptr<Interceptor>> create(Authority& authority,
                                                           std::string roots,
                                                           RulesOf rules_of);

  // Whether the connection is one for carry(); with an empty name, whether its name matters.
  bool concerns(const netfilter::egress::Flow& flow) const;
  // Carries an allowed connection that has been dialled, until its end. `first_flight` is what the
  // client has sent already.
  boost::asio::awaitable<void> carry(netfilter::egress::Connection& connection,
                                     std::string first_flight);

 private:
  Interceptor(RulesOf rules_of, std::string roots)
      : rules_of_(std::move(rules_of)), roots_(std::move(roots)) {}

  boost::asio::awaitable<bool> start_tls(const netfilter::egress::Flow& flow,
                                         std::shared_ptr<proxy::Channel> client,
                                         std::shared_ptr<proxy::Channel> server);
  base::Result<> load_roots();

  RulesOf rules_of_;
  std::string roots_;  // read into `towards_servers_` when the first connection needs it
  std::unique_ptr<proxy::TlsContext> towards_sandboxes_;
  std::unique_ptr<proxy::TlsClientContext> towards_servers_;
};

}  // namespace emulator::intercept
