// Which directories a watcher has under inotify and what they are called now: turns the kernel's
// records into names relative to the watched directory, and follows directories that come, go and
// are renamed (contract-envd 3.1, 3.2). Used by directory_watch. Queues nothing, waits for nothing.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fakeapi/envd/inotify.h"
#include "fakeapi/proto/filesystem.pb.h"

namespace fakeapi::envd {

// What a full queue is called, the kernel's or ours: the text of the library that the real daemon
// uses.
inline constexpr const char* kWatchOverflow = "fsnotify: queue or buffer overflow";

struct Change {
  ::filesystem::EventType type = ::filesystem::EVENT_TYPE_UNSPECIFIED;
  std::string name;  // "." for the watched directory itself
};

class WatchTree {
 public:
  WatchTree(Inotify& inotify, std::string root, bool recursive);

  // Watches the root; with `recursive` scan() then finds what is below it.
  base::Result<> start();
  // Looks into directories that were not looked into yet, for about `budget` plain entries (a
  // directory counts as several); false = nothing is left. Records may be applied between two
  // calls.
  bool scan(int budget);
  // Appends what the record means to `changes`: usually one change, none for housekeeping.
  void apply(const InotifyRecord& record, std::vector<Change>& changes);

  // The watch cannot be relied upon any more: what the caller gets to read.
  const std::optional<std::string>& failure() const { return failure_; }
  // The root was moved or removed: nothing will follow.
  bool ended() const { return ended_; }
  // Directories under watch.
  std::size_t size() const { return nodes_.size(); }
  // The absolute path of a change's name.
  std::string path_of(const std::string& name) const;

 private:
  static constexpr int kNone = -1;
  struct Node {
    int parent = kNone;
    std::string name;
    std::uint32_t leaving = 0;  // the cookie of a rename whose second half has not come yet
  };
  struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };

  std::string relative(int watch) const;
  std::string relative(int watch, std::string_view name) const;
  bool is_within(int watch, int ancestor) const;
  std::string below_root(const std::string& name) const;
  // The watch of a directory below `parent`; kNone when there is no such directory (any more).
  int add(int parent, const std::string& name);
  void watch_child(int parent, const std::string& name);
  void attach(int watch, int parent, const std::string& name);
  void forget(int watch);
  void follow_rename(const InotifyRecord& record);
  bool housekeeping(const InotifyRecord& record, std::vector<Change>& changes);
  int open_next();
  int scan_entry();

  Inotify& inotify_;
  std::string root_path_;
  bool recursive_;
  int root_ = kNone;
  std::unordered_map<int, Node> nodes_;
  // (parent, name) to watch: what a rename names, and all children of one directory in a row.
  std::map<std::pair<int, std::string>, int> children_;
  std::unordered_map<std::uint32_t, int> leaving_;
  std::vector<int> unscanned_;
  std::unique_ptr<DIR, CloseDirectory> scanning_;
  int scanning_watch_ = kNone;
  // Where the scan met an absence: something is gone, or has another name whose record comes later.
  std::set<int> unreached_;
  std::optional<std::string> failure_;
  bool ended_ = false;
};

}  // namespace fakeapi::envd
