// The sandbox routes: create, connect, resume, lists, get, kill, timeout, refreshes, pause,
// network, metrics, quota, mounts of volumes. Each method takes a routed request and returns the
// whole response, or an Error that cloud_api turns into one. Stateless; the machine is behind
// SandboxService. JSON is in bodies and responses.
#pragma once

#include <string>

#include "emulator/base/clock.h"
#include "fakeapi/cloud/cloud_api.h"
#include "fakeapi/cloud/rate_limiter.h"
#include "fakeapi/cloud/sandbox_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class SandboxesHandler {
 public:
  SandboxesHandler(SandboxService& service, base::Clock& clock, const CloudOptions& options)
      : service_(service),
        clock_(clock),
        public_domain_(options.public_domain),
        public_urls_(options.public_urls),
        network_immutable_(options.network_immutable),
        create_rate_(options.create_rate) {}

  using Answer = base::Task<http::Response>;

  Answer create(http::RoutedRequest request);
  // v1: running sandboxes only, one array without pages.
  Answer list_running(http::RoutedRequest request);
  Answer list(http::RoutedRequest request);
  Answer get(http::RoutedRequest request);
  Answer kill(http::RoutedRequest request);
  Answer connect(http::RoutedRequest request);
  Answer resume(http::RoutedRequest request);
  Answer pause(http::RoutedRequest request);
  Answer set_timeout(http::RoutedRequest request);
  Answer refresh(http::RoutedRequest request);
  Answer set_network(http::RoutedRequest request);
  Answer metrics(http::RoutedRequest request);
  // The newest sample of each of several sandboxes. Those that are gone or fresh have none.
  Answer latest_metrics(http::RoutedRequest request);
  Answer quota(http::RoutedRequest request);
  Answer hotplug_memory(http::RoutedRequest request);
  Answer mount_volume(http::RoutedRequest request);
  Answer unmount_volume(http::RoutedRequest request);

 private:
  // The sandbox as it is now; kNotFound with the cloud's sentence.
  base::Result<SandboxInfo> find(const std::string& id) const;
  // The same, and kNotFound for a paused one: the cloud looks among those that run.
  base::Result<SandboxInfo> find_running(const std::string& id) const;
  // 404 for an unknown sandbox in the cloud's words, everything else as the service said it.
  static base::Error translate(base::Error error, const std::string& id);
  http::Response sandbox_response(int status,
                                  const SandboxInfo& info,
                                  const http::RequestHead& head) const;

  SandboxService& service_;
  base::Clock& clock_;
  std::string public_domain_;
  PublicUrls public_urls_;
  bool network_immutable_;
  std::optional<RateLimiter> create_rate_;
};

}  // namespace fakeapi::cloud
