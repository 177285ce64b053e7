// The files of a volume, read and written from outside: E2B's volume content API (contract-novita
// 7.4). A path is resolved by the kernel inside the volume's root, links included, so that none
// leads out of it (openat2, RESOLVE_IN_ROOT). Used by the control plane.
#pragma once

#include "emulator/base/async.h"
#include "emulator/volumes/volume_store.h"
#include "fakeapi/cloud/volume_service.h"

namespace emulator::volumes {

class StoredVolumeFiles final : public fakeapi::cloud::VolumeFiles {
 public:
  explicit StoredVolumeFiles(VolumeStore& store) : store_(store) {}

  base::Task<> authorise(std::string id, std::string token) override;
  base::Task<std::vector<fakeapi::cloud::VolumeEntry>> list(std::string id,
                                                            std::string path,
                                                            unsigned depth) override;
  base::Task<fakeapi::cloud::VolumeEntry> stat(std::string id, std::string path) override;
  base::Task<fakeapi::cloud::VolumeEntry> make_directory(std::string id,
                                                         std::string path,
                                                         fakeapi::cloud::EntryAttributes attributes,
                                                         bool force) override;
  base::Task<fakeapi::cloud::VolumeEntry> change(
      std::string id, std::string path, fakeapi::cloud::EntryAttributes attributes) override;
  base::Task<> remove(std::string id, std::string path) override;
  base::Task<std::unique_ptr<fakeapi::cloud::VolumeReader>> read(std::string id,
                                                                 std::string path) override;
  base::Task<std::unique_ptr<fakeapi::cloud::VolumeWriter>> write(
      std::string id,
      std::string path,
      fakeapi::cloud::EntryAttributes attributes,
      bool force) override;

 private:
  VolumeStore& store_;
  base::BlockingPool pool_{2};
};

}  // namespace emulator::volumes
