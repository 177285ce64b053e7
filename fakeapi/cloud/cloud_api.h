// The REST control plane: every route of the cloud's API that the SDKs use. Stateless; asks a
// SandboxService.
#pragma once

#include <string>
#include <vector>

#include "fakeapi/cloud/events.h"
#include "fakeapi/cloud/rate_limiter.h"
#include "fakeapi/cloud/sandbox_logs.h"
#include "fakeapi/cloud/sandbox_service.h"
#include "fakeapi/cloud/secret_service.h"
#include "fakeapi/cloud/volume_service.h"
#include "fakeapi/http/connection.h"

namespace fakeapi::cloud {

struct CloudOptions {
  // Empty: every non-empty key is accepted, and requests without one too (contract-novita 1.3).
  // Otherwise only these.
  std::vector<std::string> api_keys;
  // "localhost:7463": the `domain` of create and connect responses, unless the request's Host
  // begins with "api.".
  std::string public_domain;
  // The hosts of `network.rules` that may have a port.
  PublicUrls public_urls;
  // What a sandbox was created with for its network stays: changes are 409 (NET-58).
  bool network_immutable = false;
  // Creates; nullopt: as many as come.
  std::optional<RateLimiter> create_rate;
  // Both outlive the API; null: their routes answer 501.
  EventLog* events = nullptr;
  LogSource* logs = nullptr;
  // Volumes and their files; they outlive the CloudApi. Null: no such routes.
  VolumeService* volumes = nullptr;
  VolumeFiles* volume_files = nullptr;
  // Likewise.
  SecretService* secrets = nullptr;
};

class CloudApi {
 public:
  CloudApi(SandboxService& service, base::Clock& clock, CloudOptions options);
  ~CloudApi();
  // Answers one request (exactly one response), errors included.
  boost::asio::awaitable<void> handle(const http::RequestHead& head,
                                      http::ServerConnection& connection);

 private:
  struct Routes;
  std::unique_ptr<Routes> routes_;
};

}  // namespace fakeapi::cloud
