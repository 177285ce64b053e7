// Events that are on their way into the database: one line each in
// <data-dir>/events/<instance>.jsonl, appended before the call that they are about is answered, and
// emptied after each batch. A killed emulator's file is read by the next one that starts. Locked
// while its emulator lives. Used by EventKeeper alone. Blocking; an append is one write(2).
#pragma once

#include <filesystem>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/cloud/events.h"

namespace emulator::events {

class PendingFile {
 public:
  // Makes the directory. Adds the events of files that nobody holds any more to `left`, and their
  // paths to `abandoned`, for remove() when the events are safe.
  static base::Result<PendingFile> open(const std::filesystem::path& directory,
                                        const std::string& instance,
                                        std::vector<fakeapi::cloud::SandboxEvent>& left,
                                        std::vector<std::filesystem::path>& abandoned);
  PendingFile(PendingFile&&) = default;
  PendingFile& operator=(PendingFile&&) = default;
  // A clean end leaves nothing: call after the last batch.
  ~PendingFile();

  base::Result<> append(const fakeapi::cloud::SandboxEvent& event);
  // Every line is in the database.
  base::Result<> empty();

 private:
  PendingFile(std::filesystem::path path, base::UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  base::UniqueFd fd_;
  std::size_t size_ = 0;
};

}  // namespace emulator::events
