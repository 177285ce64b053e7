#include "emulator/secrets/secret_store.h"

#include <algorithm>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/secrets/secret_record.h"

namespace emulator::secrets {

namespace cloud = fakeapi::cloud;
using base::Errc;
using base::Result;
using store::Blob;
using store::text;
using store::values;

namespace {

constexpr const char* kSelect = "SELECT name, body, updated_at FROM secrets";
// Somebody else may change a secret between our reading and our writing it; not for ever.
constexpr int kTries = 16;
constexpr std::size_t kPlaceholderBytes = 16;
constexpr std::size_t kIdLength = 26;

base::Failure not_found(const cloud::SecretKey& key) {
  return base::fail(Errc::kNotFound, "secret '" + key.text + "' not found");
}

bool older(const cloud::SecretInfo& a, const cloud::SecretInfo& b) {
  if (a.created_at == b.created_at) return a.secret_id < b.secret_id;
  return a.created_at < b.created_at;
}

bool same(const SecretPtr& a, const SecretPtr& b) {
  return a->info.secret_id == b->info.secret_id && a->info.version == b->info.version &&
         a->info.updated_at == b->info.updated_at;
}

}  // namespace

Result<std::unique_ptr<SecretStore>> SecretStore::open(store::Database& database,
                                                       base::Clock& clock) {
  SANDLOT_TRY(auto rows, database.query_now(kSelect));
  std::unique_ptr<SecretStore> opened(new SecretStore(database, clock));
  opened->known_ = read(rows);
  return opened;
}

SecretStore::Known SecretStore::read(const std::vector<store::Row>& rows) {
  Known known;
  for (const store::Row& row : rows) {
    auto secret = secret_of(text(row[0]), text(row[1]), store::integer(row[2]));
    if (secret) {
      known.emplace(text(row[0]), std::make_shared<const Secret>(std::move(*secret)));
    } else {
      base::log::warn("secret.unreadable", {{"error", secret.error().message()}});
    }
  }
  return known;
}

void SecretStore::learn(Known known) {
  bool equal = known.size() == known_.size() &&
               std::equal(known.begin(), known.end(), known_.begin(), [](auto& a, auto& b) {
                 return a.first == b.first && same(a.second, b.second);
               });
  if (equal) return;
  known_ = std::move(known);
  if (changed_) changed_();
}

void SecretStore::learn(const std::string& name, SecretPtr secret) {
  if (secret) {
    known_.insert_or_assign(name, std::move(secret));
  } else {
    known_.erase(name);
  }
  if (changed_) changed_();
}

// The database answers in the order of its calls, so what is learned last is the newest.
base::Task<> SecretStore::refresh() {
  SANDLOT_CO_TRY(auto rows, co_await database_.query(kSelect));
  learn(read(rows));
  co_return Result<>();
}

SecretPtr SecretStore::find(std::string_view name) const {
  auto found = known_.find(name);
  return found == known_.end() ? nullptr : found->second;
}

Result<SecretPtr> SecretStore::look_up(const cloud::SecretKey& key) const {
  if (!key.is_id) {
    if (SecretPtr secret = find(key.text)) return secret;
    return not_found(key);
  }
  for (const auto& [name, secret] : known_) {
    if (secret->info.secret_id == key.text) return secret;
  }
  return not_found(key);
}

base::Task<cloud::SecretInfo> SecretStore::create(cloud::NewSecret wanted) {
  Secret secret;
  secret.value = std::move(wanted.value);
  cloud::SecretInfo& info = secret.info;
  info.secret_id = "sec_" + base::random_id(kIdLength);
  info.name = std::move(wanted.name);
  info.hosts = std::move(wanted.hosts);
  info.placeholder = "novita_secret_" + base::random_hex(kPlaceholderBytes);
  info.description = std::move(wanted.description);
  info.metadata = std::move(wanted.metadata);
  std::int64_t now = milliseconds(clock_.now());
  info.created_at = info.updated_at = base::TimePoint(std::chrono::milliseconds(now));
  Blob body{body_column(secret)};
  auto row = values(info.name, std::move(body), now);
  auto added = co_await database_.exec("INSERT INTO secrets VALUES (?, ?, ?)", std::move(row));
  if (!added && added.error().code() == Errc::kAlreadyExists) {
    co_return base::fail(Errc::kAlreadyExists, "secret '" + info.name + "' already exists");
  }
  if (!added) co_return base::Failure(std::move(added).error());
  base::log::debug("secret.created", {{"secret", info.name}});
  auto made = std::make_shared<const Secret>(std::move(secret));
  learn(made->info.name, made);
  co_return made->info;
}

base::Task<std::vector<cloud::SecretInfo>> SecretStore::list() {
  SANDLOT_CO_CHECK(co_await refresh());
  std::vector<cloud::SecretInfo> all;
  for (const auto& [name, secret] : known_) all.push_back(secret->info);
  std::sort(all.begin(), all.end(), older);
  co_return all;
}

base::Task<cloud::SecretInfo> SecretStore::get(cloud::SecretKey key) {
  SANDLOT_CO_CHECK(co_await refresh());
  SANDLOT_CO_TRY(SecretPtr secret, look_up(key));
  co_return secret->info;
}

base::Task<cloud::SecretInfo> SecretStore::update(cloud::SecretKey key,
                                                  cloud::SecretChange change) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    SANDLOT_CO_CHECK(co_await refresh());
    SANDLOT_CO_TRY(SecretPtr before, look_up(key));
    Secret after = *before;
    after.value = change.value;
    if (change.hosts) after.info.hosts = *change.hosts;
    if (change.description) after.info.description = *change.description;
    if (change.metadata) after.info.metadata = *change.metadata;
    ++after.info.version;
    // Each version has a time of its own, by which we know that nobody was faster.
    std::int64_t read_at = milliseconds(before->info.updated_at);
    std::int64_t now = std::max(milliseconds(clock_.now()), read_at + 1);
    after.info.updated_at = base::TimePoint(std::chrono::milliseconds(now));
    Blob body{body_column(after)};
    auto row = values(std::move(body), now, after.info.name, read_at);
    SANDLOT_CO_TRY(auto written,
                   co_await database_.exec("UPDATE secrets SET body = ?, updated_at = ? "
                                           "WHERE name = ? AND updated_at = ?",
                                           std::move(row)));
    if (written.rows == 0) continue;
    auto made = std::make_shared<const Secret>(std::move(after));
    base::log::debug("secret.updated", {{"secret", made->info.name}});
    learn(made->info.name, made);
    co_return made->info;
  }
  co_return base::fail(Errc::kConflict, "secret '" + key.text + "' is being changed by others");
}

base::Task<std::string> SecretStore::remove(cloud::SecretKey key) {
  std::string name = key.text;
  if (key.is_id) {
    SANDLOT_CO_CHECK(co_await refresh());
    SANDLOT_CO_TRY(SecretPtr secret, look_up(key));
    name = secret->info.name;
  }
  SANDLOT_CO_TRY(auto removed,
                 co_await database_.exec("DELETE FROM secrets WHERE name = ?", values(name)));
  if (removed.rows == 0) co_return not_found(key);
  base::log::debug("secret.deleted", {{"secret", name}});
  learn(name, nullptr);
  co_return name;
}

}  // namespace emulator::secrets
