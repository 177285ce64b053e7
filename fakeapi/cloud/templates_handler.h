// The template routes that only read: the lists and the alias check; and the one team. Building
// templates is not here (not_built). Stateless.
#pragma once

#include "fakeapi/cloud/sandbox_service.h"
#include "fakeapi/http/router.h"

namespace fakeapi::cloud {

class TemplatesHandler {
 public:
  explicit TemplatesHandler(SandboxService& service) : service_(service) {}

  using Answer = base::Task<http::Response>;

  // GET /templates: every template.
  Answer list(http::RoutedRequest request);
  // GET /v2/templates: pages by number for Novita's SDK, by token for E2B's
  // (contract-novita 2.2, 7.5).
  Answer list_pages(http::RoutedRequest request);
  // GET /templates/aliases/{alias}: what Template.exists asks.
  Answer get_alias(http::RoutedRequest request);
  // GET /teams: E2B's CLI takes its key from here.
  Answer teams(http::RoutedRequest request);

 private:
  // Newest first, then by id.
  std::vector<TemplateSummary> sorted() const;
  // Snapshots as templates, in the same order.
  base::Task<std::vector<TemplateSummary>> list_snapshots() const;

  SandboxService& service_;
};

}  // namespace fakeapi::cloud
