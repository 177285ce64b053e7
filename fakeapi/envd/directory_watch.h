// One watched directory: reads its inotify descriptor as soon as something is there and keeps the
// events until they are taken, in a bounded queue (contract-envd 3). Used by watcher_service, for
// streams and for polled watchers. Knows no framing and no ids.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/async.h"
#include "emulator/base/task_group.h"
#include "fakeapi/envd/user_database.h"
#include "fakeapi/envd/watch_tree.h"

namespace fakeapi::envd {

// What a full queue means. A stream's reader catches up sooner or later, or the kernel's queue
// overflows behind it. Nobody may ever poll: that watcher fails.
enum class WhenFull { kWait, kFail };

struct WatchOptions {
  std::string path;
  bool recursive = false;
  bool include_entry = false;
  WhenFull when_full = WhenFull::kWait;
};

class DirectoryWatch {
 public:
  using Event = ::filesystem::FilesystemEvent;

  // Armed when this returns, and reading in `tasks` until close(): what happens from then on is
  // reported. Gives the loop its turns while it walks a large tree. The error is what went wrong,
  // with its errno.
  static base::Task<std::shared_ptr<DirectoryWatch>> open(boost::asio::any_io_executor executor,
                                                          base::TaskGroup& tasks,
                                                          WatchOptions options,
                                                          UserDatabase& users);
  // The descriptor goes at once; what is queued stays.
  void close();

  // Reads what the kernel has: everything that happened before this call is in the queue when it
  // returns. Gives the loop its turns.
  static boost::asio::awaitable<void> catch_up(std::shared_ptr<DirectoryWatch> self);
  // Directories that came with their content are all under watch before anybody hears of them.
  bool empty() const { return events_.empty() || !settled_; }
  // The oldest event; there must be one.
  Event pop();
  // Why nothing more will come, in the words for the caller.
  const std::optional<std::string>& failure() const { return failure_; }

  // Returns when there is an event or a failure, or at `when`; may return early.
  boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point when);
  void wake() { wake_.cancel(); }

 private:
  DirectoryWatch(boost::asio::any_io_executor executor,
                 Inotify inotify,
                 WatchOptions options,
                 UserDatabase& users);
  static boost::asio::awaitable<void> read_until_closed(std::shared_ptr<DirectoryWatch> self);
  bool full() const;
  // One read(2); false = nothing waits.
  bool read_once();
  // Looks a little further into directories that are new.
  void scan_slice();
  boost::asio::awaitable<void> settle();
  bool closed() const { return inotify_.fd() < 0; }
  void publish(const Change& change);
  void fail(const std::string& why);
  void check_tree();

  WatchOptions options_;
  UserDatabase& users_;
  Inotify inotify_;
  WatchTree tree_;
  boost::asio::posix::stream_descriptor readable_;  // a duplicate of inotify_'s descriptor
  std::deque<Event> events_;
  std::size_t bytes_ = 0;  // of events_, roughly
  bool settled_ = true;    // no directory waits to be looked into
  std::optional<std::string> failure_;
  boost::asio::steady_timer wake_;  // cancelled when there is something for the reader
  boost::asio::steady_timer room_;  // cancelled when the reader has taken something
};

}  // namespace fakeapi::envd
