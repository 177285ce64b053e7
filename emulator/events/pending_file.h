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
  // What others have in the directory.
  struct Others {
    std::vector<fakeapi::cloud::SandboxEvent> left;  // in files that nobody holds any more
    std::vector<std::filesystem::path> abandoned;  // these files: to be removed, `left` being safe
    bool alive = false;                            // somebody holds one
  };
  // Makes the directory.
  static base::Result<PendingFile> open(const std::filesystem::path& directory,
                                        const std::string& instance,
                                        Others& others);
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
