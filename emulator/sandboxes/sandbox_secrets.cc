// LocalSandboxService: what the requests of a sandbox carry that its processes never see.
#include <algorithm>

#include "emulator/base/log.h"
#include "emulator/sandboxes/local_sandbox_service.h"
#include "fakeapi/cloud/secret_markers.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace cloud = fakeapi::cloud;
using base::Errc;

namespace {

bool goes_to(const secrets::Secret& secret, std::string_view host) {
  // Without hosts it is one of E2B's: the rule alone says where it goes.
  if (secret.info.hosts.empty()) return true;
  auto name = netfilter::normalise_name(host);
  return name && std::any_of(secret.info.hosts.begin(), secret.info.hosts.end(),
                             [&](const std::string& pattern) {
                               return netfilter::DomainPattern(pattern).matches(*name);
                             });
}

// The value of a rule's header with its secrets as they are now; the problem when there is no such
// secret for that host.
base::Result<std::string> filled(const std::string& value,
                                 std::string_view host,
                                 const secrets::SecretStore* store) {
  SANDLOT_TRY(auto markers, cloud::find_secret_markers(value));
  std::string out;
  std::size_t done = 0;
  for (const cloud::SecretMarker& marker : markers) {
    secrets::SecretPtr secret = store == nullptr ? nullptr : store->find(marker.name);
    if (!secret || !goes_to(*secret, host)) {
      return base::fail(Errc::kNotFound, "no secret '" + marker.name + "' for this host");
    }
    out.append(value, done, marker.begin - done).append(secret->value);
    done = marker.end;
  }
  return out.append(value, done);
}

intercept::Edits edits_of(const cloud::StringMap& headers,
                          std::string_view host,
                          const secrets::SecretStore* store) {
  intercept::Edits edits;
  for (const auto& [name, value] : headers) {
    auto whole = filled(value, host, store);
    if (whole) {
      edits.set.emplace_back(name, std::move(*whole));
    } else if (edits.problem.empty()) {
      edits.problem = whole.error().message();
    }
  }
  return edits;
}

}  // namespace

cloud::StringMap environment_of(cloud::StringMap variables, const BoundSecrets& secrets) {
  for (const auto& [variable, secret] : secrets) variables[variable] = secret.placeholder;
  return variables;
}

cloud::StringMap names_of(const BoundSecrets& secrets) {
  cloud::StringMap names;
  for (const auto& [variable, secret] : secrets) names[variable] = secret.name;
  return names;
}

void LocalSandboxService::compile_rules(Sandbox& sandbox) const {
  sandbox.rules = nullptr;
  auto compiled = std::make_shared<intercept::HeaderRules>();
  const auto& network = sandbox.info.network;
  const cloud::NetworkRules rules =
      network && network->rules ? *network->rules : cloud::NetworkRules();
  for (const auto& [text, list] : rules) {
    auto host = cloud::split_rule_host(text);
    for (const cloud::NetworkRule& rule : list) {
      if (!host || !rule.transform || !rule.transform->headers) continue;
      compiled->add(host->name, host->port,
                    edits_of(*rule.transform->headers, host->name, hooks_.secrets));
    }
  }
  for (const auto& [variable, secret] : sandbox.secret_versions) {
    compiled->add_secret(secret->info.hosts, secret->info.placeholder, secret->value);
  }
  if (!compiled->empty()) sandbox.rules = std::move(compiled);
}

BoundSecrets LocalSandboxService::bound_to(const SecretVersions& versions) {
  BoundSecrets bound;
  for (const auto& [variable, secret] : versions) {
    bound[variable] = {secret->info.name, secret->info.placeholder};
  }
  return bound;
}

base::Task<LocalSandboxService::SecretVersions> LocalSandboxService::bind_secrets(
    cloud::StringMap names) {
  SecretVersions versions;
  if (names.empty()) co_return versions;
  if (hooks_.secrets == nullptr) co_return base::fail(Errc::kUnimplemented, "there are no secrets");
  SANDLOT_CO_CHECK(co_await hooks_.secrets->refresh());
  for (const auto& [variable, name] : names) {
    auto secret = hooks_.secrets->find(name);
    if (!secret) co_return base::fail(Errc::kInvalidArgument, "secret '" + name + "' not found");
    versions[variable] = std::move(secret);
  }
  co_return versions;
}

asio::awaitable<LocalSandboxService::SecretsAtStart> LocalSandboxService::newest_secrets(
    SandboxPtr sandbox, bool starts_anew) {
  SecretsAtStart newest{sandbox->secrets, {}};
  bool has_rules = sandbox->info.network && sandbox->info.network->rules;
  if (hooks_.secrets == nullptr || (newest.bound.empty() && !has_rules)) co_return newest;
  // What could not be read stays as it is known.
  auto refreshed = co_await hooks_.secrets->refresh();
  if (!refreshed) {
    base::log::warn("secrets.not_read", {{"sandbox", sandbox->info.sandbox_id},
                                         {"error", refreshed.error().message()}});
  }
  for (auto& [variable, bound] : newest.bound) {
    auto secret = hooks_.secrets->find(bound.name);
    if (!secret) continue;
    if (starts_anew) bound.placeholder = secret->info.placeholder;
    // One that was made anew under the name of another is not the one that its processes know.
    if (secret->info.placeholder == bound.placeholder) newest.versions[variable] = secret;
  }
  co_return newest;
}

void LocalSandboxService::give_secrets(Sandbox& sandbox, SecretsAtStart newest) const {
  sandbox.secrets = std::move(newest.bound);
  sandbox.secret_versions = std::move(newest.versions);
  compile_rules(sandbox);
}

void LocalSandboxService::secrets_changed() {
  for (auto& [id, sandbox] : sandboxes_) {
    if (sandbox->info.network && sandbox->info.network->rules) compile_rules(*sandbox);
  }
}

}  // namespace emulator::sandboxes
