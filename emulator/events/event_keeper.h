// Keeps what happened to sandboxes for 60 days, in the database, and answers questions about it.
// record() returns when the event survives the emulator's death (a line in a file, pending_file.h);
// the database's rows are made in batches behind it. Used by emulator/application. Decides nothing.
#pragma once

#include <deque>
#include <memory>

#include "emulator/base/task_group.h"
#include "emulator/events/pending_file.h"
#include "emulator/store/database.h"
#include "fakeapi/cloud/events.h"

namespace emulator::events {

class EventKeeper final : public fakeapi::cloud::EventLog {
 public:
  // Blocking: takes over what killed emulators left in the directory, and writes down the end of
  // the sandboxes that went with them (unless another emulator lives there). `database` outlives
  // it.
  static base::Result<std::unique_ptr<EventKeeper>> open(boost::asio::any_io_executor executor,
                                                         store::Database& database,
                                                         const std::filesystem::path& directory,
                                                         const std::string& instance);
  // For open().
  EventKeeper(boost::asio::any_io_executor executor, store::Database& database, PendingFile file);

  void record(fakeapi::cloud::SandboxEvent event);
  base::Task<fakeapi::cloud::EventPage> find(fakeapi::cloud::EventQuery query) override;
  // Writes what is pending. Last call.
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<void> keep_writing();
  base::Task<> write_batch();

  store::Database& database_;
  PendingFile file_;
  std::deque<fakeapi::cloud::SandboxEvent> pending_;
  bool writing_ = false;
  int in_flight_ = 0;  // batches
  base::TaskGroup tasks_;
};

}  // namespace emulator::events
