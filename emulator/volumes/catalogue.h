// Which volumes there are: one record each, kept in the emulator's database. Used by VolumeStore;
// says nothing of their files. A second emulator on the same data directory sees the same ones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"
#include "fakeapi/cloud/volume_service.h"

namespace emulator::store {
class Database;
}

namespace emulator::volumes {

struct VolumeRecord {
  std::string id;
  std::string name;
  std::string token;
  std::optional<fakeapi::cloud::VolumeQuota> quota;
  base::TimePoint created_at;
};

// What a call has acknowledged survives the death of the emulator.
class Catalogue {
 public:
  virtual ~Catalogue() = default;
  // kAlreadyExists when the name is taken.
  virtual base::Task<> add(VolumeRecord record) = 0;
  virtual base::Task<> set_quota(VolumeRecord record) = 0;
  // kConflict, and nothing has changed, when a paused sandbox of another emulator has it, living or
  // ended.
  virtual base::Task<> remove(std::string id) = 0;
  // In the order of creation.
  virtual base::Task<std::vector<VolumeRecord>> all() = 0;
};

// `database` outlives it.
std::unique_ptr<Catalogue> make_stored_catalogue(store::Database& database, std::string instance);

}  // namespace emulator::volumes
