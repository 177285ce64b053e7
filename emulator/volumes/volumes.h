// Volumes as the application starts and stops them: the store, and the files from outside.
#pragma once

#include <filesystem>
#include <string>

#include "emulator/base/log.h"
#include "emulator/volumes/volume_files.h"
#include "emulator/volumes/volume_store.h"
#include "fakeapi/cloud/cloud_api.h"

namespace emulator::volumes {

class Volumes {
 public:
  // `database` outlives it; `instance_dir` is this emulator's own.
  Volumes(boost::asio::any_io_executor executor,
          base::Clock& clock,
          store::Database& database,
          const std::filesystem::path& data_dir,
          const std::filesystem::path& instance_dir)
      : store_(std::move(executor),
               clock,
               make_stored_catalogue(database, instance_dir.filename()),
               VolumeDisk(data_dir, instance_dir / "volumes", instance_dir.filename())) {}

  VolumeStore* store() { return &store_; }
  void serve(fakeapi::cloud::CloudOptions& cloud) {
    cloud.volumes = &store_;
    cloud.volume_files = &files_;
  }
  // The emulator works without volumes: what keeps them from starting is logged.
  boost::asio::awaitable<void> start() {
    auto started = co_await store_.start();
    if (!started) base::log::error("volumes.failed", {{"error", started.error().message()}});
  }
  boost::asio::awaitable<void> stop() { return store_.stop(); }

 private:
  VolumeStore store_;
  StoredVolumeFiles files_{store_};
};

}  // namespace emulator::volumes
