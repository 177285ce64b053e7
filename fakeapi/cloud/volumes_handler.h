// The routes of volumes (contract-novita 2.3): create, list, get, quota, destroy. Stateless; the
// machine is behind VolumeService. Mounting into a sandbox is in sandboxes_handler.
#pragma once

#include "fakeapi/cloud/volume_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class VolumesHandler {
 public:
  explicit VolumesHandler(VolumeService& service) : service_(service) {}

  using Answer = base::Task<http::Response>;

  Answer create(http::RoutedRequest request);
  Answer list(http::RoutedRequest request);
  Answer get(http::RoutedRequest request);
  Answer set_quota(http::RoutedRequest request);
  Answer remove(http::RoutedRequest request);

 private:
  VolumeService& service_;
};

}  // namespace fakeapi::cloud
