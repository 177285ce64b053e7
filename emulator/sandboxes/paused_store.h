// The rows of the paused sandboxes (emulator/store) and who owns them: the emulator that paused
// them, or the one that found its owner dead. Used by LocalSandboxService, at the start, and by gc.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/sandboxes/paused_record.h"
#include "emulator/store/database.h"

namespace emulator::sandboxes {

class PausedStore {
 public:
  PausedStore(store::Database& database, std::filesystem::path data_dir, std::string instance);

  // Durable when it returns. kNoSpace: nothing was written.
  base::Task<> save(PausedRecord record, base::TimePoint now);
  // Fine when there is none.
  base::Task<> remove(std::string id);
  // Blocking, at the start: takes over the sandboxes of dead emulators, with their files. One whose
  // files are gone is forgotten; one that cannot be read is left alone.
  base::Result<std::vector<PausedRecord>> adopt();

 private:
  base::Result<> take_over(const PausedRecord& record, const std::string& owner);

  store::Database& database_;
  std::filesystem::path data_dir_;
  std::string instance_;
};

// The names of the writable directories of every paused sandbox, whoever's: no garbage. Blocking.
base::Result<std::set<std::string>> paused_files(store::Database& database);
// Of the database of a data directory; none without one.
base::Result<std::set<std::string>> read_paused_files(const std::filesystem::path& data_dir);

}  // namespace emulator::sandboxes
