// The routes of snapshots, clones, forks, resets and commits. Each method takes a routed request
// and returns the whole response, or an Error that cloud_api turns into one. Stateless; the machine
// is behind SnapshotService.
//
// What was copied is said by a header of the answers that make a copy, because the cloud's copies
// have the memory too:  X-Sandlot-Contents: filesystem
#pragma once

#include <string>

#include "fakeapi/cloud/cloud_api.h"
#include "fakeapi/cloud/snapshot_bodies.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class SnapshotsHandler {
 public:
  SnapshotsHandler(SandboxService& service, base::Clock& clock, const CloudOptions& options)
      : service_(service),
        clock_(clock),
        public_domain_(options.public_domain),
        public_urls_(options.public_urls) {}

  using Answer = base::Task<http::Response>;

  Answer take(http::RoutedRequest request);
  Answer list(http::RoutedRequest request);
  // DELETE /templates/{templateID}: snapshots only.
  Answer remove(http::RoutedRequest request);
  Answer clone(http::RoutedRequest request);
  Answer fork(http::RoutedRequest request);
  Answer reset(http::RoutedRequest request);
  // Legacy Novita: a snapshot, answered as a template.
  Answer commit(http::RoutedRequest request);

 private:
  base::Result<SnapshotService*> snapshots() const;
  base::Result<SandboxInfo> find(const std::string& id) const;
  base::Task<SnapshotInfo> take_of(std::string id, std::string name);
  base::Task<Cloned> clone_of(std::string id, CloneRequest wanted);

  SandboxService& service_;
  base::Clock& clock_;
  std::string public_domain_;
  PublicUrls public_urls_;
};

}  // namespace fakeapi::cloud
