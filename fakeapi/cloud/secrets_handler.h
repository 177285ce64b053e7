// The routes of secrets: create, list, get, update, delete, in Novita's shape for its clients and
// in E2B's for all others (contract-novita 2.4, 7.3). Stateless; the machine is behind
// SecretService. Using them is in sandboxes_handler.
#pragma once

#include "fakeapi/cloud/secret_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class SecretsHandler {
 public:
  explicit SecretsHandler(SecretService& service) : service_(service) {}

  using Answer = base::Task<http::Response>;

  Answer create(http::RoutedRequest request);
  Answer list(http::RoutedRequest request);
  Answer get(http::RoutedRequest request);
  // PUT, Novita's.
  Answer replace(http::RoutedRequest request);
  // POST, E2B's.
  Answer update(http::RoutedRequest request);
  Answer remove(http::RoutedRequest request);

 private:
  SecretService& service_;
};

}  // namespace fakeapi::cloud
