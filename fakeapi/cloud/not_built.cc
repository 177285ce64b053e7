#include "fakeapi/cloud/not_built.h"

#include <array>

namespace fakeapi::cloud {

namespace {

constexpr std::array kRoutes{
    // Sandboxes.
    // Templates.
    NotBuiltRoute{"POST", "/templates", "building a template"},
    NotBuiltRoute{"POST", "/v2/templates", "building a template"},
    NotBuiltRoute{"POST", "/v3/templates", "building a template"},
    NotBuiltRoute{"GET", "/templates/{templateID}", "reading one template"},
    NotBuiltRoute{"POST", "/templates/{templateID}", "rebuilding a template"},
    NotBuiltRoute{"PATCH", "/templates/{templateID}", "changing a template"},
    NotBuiltRoute{"PATCH", "/v2/templates/{templateID}", "changing a template"},
    NotBuiltRoute{"GET", "/templates/{templateID}/files/{hash}", "uploading a template's files"},
    NotBuiltRoute{"POST", "/templates/{templateID}/builds/{buildID}", "building a template"},
    NotBuiltRoute{"POST", "/v2/templates/{templateID}/builds/{buildID}", "building a template"},
    NotBuiltRoute{"GET", "/templates/{templateID}/builds/{buildID}/status", "building a template"},
    NotBuiltRoute{"GET", "/templates/{templateID}/builds/{buildID}/logs", "building a template"},
    NotBuiltRoute{"POST", "/templates/tags", "tagging a template"},
    NotBuiltRoute{"DELETE", "/templates/tags", "untagging a template"},
    NotBuiltRoute{"GET", "/templates/{templateID}/tags", "reading a template's tags"},
    // Accounts and operations: no SDK call, but command lines and dashboards use them.
    NotBuiltRoute{"GET", "/teams/{teamID}/metrics", "reading team metrics"},
    NotBuiltRoute{"GET", "/teams/{teamID}/metrics/max", "reading team metrics"},
    NotBuiltRoute{"GET", "/api-keys", "managing API keys"},
    NotBuiltRoute{"POST", "/api-keys", "managing API keys"},
    NotBuiltRoute{"PATCH", "/api-keys/{apiKeyID}", "managing API keys"},
    NotBuiltRoute{"DELETE", "/api-keys/{apiKeyID}", "managing API keys"},
    NotBuiltRoute{"POST", "/access-tokens", "managing access tokens"},
    NotBuiltRoute{"DELETE", "/access-tokens/{accessTokenID}", "managing access tokens"},
    NotBuiltRoute{"GET", "/nodes", "reading nodes"},
    NotBuiltRoute{"GET", "/nodes/{nodeID}", "reading nodes"},
    NotBuiltRoute{"POST", "/nodes/{nodeID}", "changing nodes"},
    NotBuiltRoute{"GET", "/admin/sandboxes/running-counts", "administration"},
    NotBuiltRoute{"POST", "/admin/teams/{teamID}/sandboxes/kill", "administration"},
    NotBuiltRoute{"POST", "/admin/teams/{teamID}/builds/cancel", "administration"},
    NotBuiltRoute{"POST", "/admin/teams/{teamID}/api-keys", "administration"},
    NotBuiltRoute{"DELETE", "/admin/teams/{teamID}/api-keys/{apiKeyID}", "administration"},
};

}  // namespace

std::span<const NotBuiltRoute> not_built_routes() {
  return kRoutes;
}

}  // namespace fakeapi::cloud
