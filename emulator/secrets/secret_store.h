// The secrets: rows of the emulator's database, and a copy in memory for the proxy, which asks at
// each request. Used by the API (fakeapi/cloud) and by emulator/sandboxes. Values are in the
// database, here, and in the header rules that are made of them; nothing here logs one or puts one
// into an error.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "emulator/store/database.h"
#include "fakeapi/cloud/secret_service.h"

namespace emulator::secrets {

// As it is now; a change makes another one.
struct Secret {
  fakeapi::cloud::SecretInfo info;
  std::string value;
};
using SecretPtr = std::shared_ptr<const Secret>;

class SecretStore final : public fakeapi::cloud::SecretService {
 public:
  // Reads what there is. Blocking, at the start. Both outlive it.
  static base::Result<std::unique_ptr<SecretStore>> open(store::Database& database,
                                                         base::Clock& clock);

  // What a call has acknowledged survives the death of the emulator.
  base::Task<fakeapi::cloud::SecretInfo> create(fakeapi::cloud::NewSecret wanted) override;
  base::Task<std::vector<fakeapi::cloud::SecretInfo>> list() override;
  base::Task<fakeapi::cloud::SecretInfo> get(fakeapi::cloud::SecretKey key) override;
  base::Task<fakeapi::cloud::SecretInfo> update(fakeapi::cloud::SecretKey key,
                                                fakeapi::cloud::SecretChange change) override;
  base::Task<std::string> remove(fakeapi::cloud::SecretKey key) override;

  // What another emulator on the same data directory has done is known when this returns; every
  // call above does it as well.
  base::Task<> refresh();
  // As it is known; nullptr: there is none.
  SecretPtr find(std::string_view name) const;
  // Called on the loop, when a secret is not what it was. One listener. Who has a SecretPtr has
  // that version still.
  void on_change(std::function<void()> listener) { changed_ = std::move(listener); }

 private:
  using Known = std::map<std::string, SecretPtr, std::less<>>;

  SecretStore(store::Database& database, base::Clock& clock) : database_(database), clock_(clock) {}

  // A row that cannot be read is logged and left alone.
  static Known read(const std::vector<store::Row>& rows);
  void learn(Known known);
  // Null: it is gone.
  void learn(const std::string& name, SecretPtr secret);
  base::Result<SecretPtr> look_up(const fakeapi::cloud::SecretKey& key) const;

  store::Database& database_;
  base::Clock& clock_;
  Known known_;
  std::function<void()> changed_;
};

}  // namespace emulator::secrets
