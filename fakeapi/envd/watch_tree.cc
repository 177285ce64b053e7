#include "fakeapi/envd/watch_tree.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>

#include "fakeapi/envd/exit_words.h"
#include "fakeapi/envd/path_resolution.h"

namespace fakeapi::envd {

namespace {

struct Mapping {
  std::uint32_t mask;
  ::filesystem::EventType type;
};

// In the order in which a record that carries several kinds is reported (contract-envd 3.1).
constexpr std::array kMappings = {
    Mapping{IN_CREATE | IN_MOVED_TO, ::filesystem::EVENT_TYPE_CREATE},
    Mapping{IN_MOVED_FROM | IN_MOVE_SELF, ::filesystem::EVENT_TYPE_RENAME},
    Mapping{IN_ATTRIB, ::filesystem::EVENT_TYPE_CHMOD},
    Mapping{IN_MODIFY, ::filesystem::EVENT_TYPE_WRITE},
    Mapping{IN_DELETE | IN_DELETE_SELF, ::filesystem::EVENT_TYPE_REMOVE},
};

// A watch is several system calls, a name in a directory a fraction of one.
constexpr int kDirectoryCost = 8;

// What only says that a directory is not there (any more).
bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES ||
         error == ENAMETOOLONG;
}

bool is_directory(DIR* directory, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  struct stat info {};
  return ::fstatat(::dirfd(directory), entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(info.st_mode);
}

}  // namespace

WatchTree::WatchTree(Inotify& inotify, std::string root, bool recursive)
    : inotify_(inotify), root_path_(std::move(root)), recursive_(recursive) {}

base::Result<> WatchTree::start() {
  SANDLOT_TRY(root_, inotify_.add_directory(root_path_, Inotify::Link::kFollow));
  nodes_[root_] = Node();
  if (recursive_) unscanned_.push_back(root_);
  return {};
}

std::string WatchTree::path_of(const std::string& name) const {
  return clean_path(root_path_ + "/" + name);
}

std::string WatchTree::below_root(const std::string& name) const {
  return name.empty() ? root_path_ : root_path_ + "/" + name;
}

std::string WatchTree::relative(int watch) const {
  std::vector<const std::string*> parts;
  for (int at = watch; at != root_;) {
    auto found = nodes_.find(at);
    if (found == nodes_.end()) break;
    parts.push_back(&found->second.name);
    at = found->second.parent;
  }
  std::string out;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!out.empty()) out.push_back('/');
    out.append(**part);
  }
  return out;
}

std::string WatchTree::relative(int watch, std::string_view name) const {
  std::string out = relative(watch);
  if (name.empty()) return out.empty() ? "." : out;
  if (!out.empty()) out.push_back('/');
  return out.append(name);
}

bool WatchTree::is_within(int watch, int ancestor) const {
  for (int at = watch; at != kNone;) {
    if (at == ancestor) return true;
    auto found = nodes_.find(at);
    at = found == nodes_.end() ? kNone : found->second.parent;
  }
  return false;
}

void WatchTree::forget(int watch) {
  std::vector<int> gone = {watch};
  for (std::size_t i = 0; i < gone.size(); ++i) {
    int parent = gone[i];
    for (auto child = children_.lower_bound({parent, ""});
         child != children_.end() && child->first.first == parent; ++child) {
      gone.push_back(child->second);
    }
  }
  for (int number : gone) {
    auto found = nodes_.find(number);
    if (found == nodes_.end()) continue;
    auto entry = children_.find({found->second.parent, found->second.name});
    if (entry != children_.end() && entry->second == number) children_.erase(entry);
    leaving_.erase(found->second.leaving);
    nodes_.erase(found);
    unreached_.erase(number);
    inotify_.remove(number);
  }
}

void WatchTree::attach(int watch, int parent, const std::string& name) {
  auto known = children_.find({parent, name});
  if (known != children_.end()) {
    if (known->second == watch) return;
    forget(known->second);  // its place was taken: it is deleted, or its end is on the way
  }
  auto found = nodes_.find(watch);
  if (found != nodes_.end()) {
    // A loop can only come from a name that we read ahead of the records: let it go.
    if (is_within(parent, watch)) return;
    auto before = children_.find({found->second.parent, found->second.name});
    if (before != children_.end() && before->second == watch) children_.erase(before);
    leaving_.erase(found->second.leaving);
    found->second = Node{parent, name, 0};
    // What could not be found under the old name may be there under the new one.
    unscanned_.insert(unscanned_.end(), unreached_.begin(), unreached_.end());
    unreached_.clear();
  } else {
    nodes_[watch] = Node{parent, name, 0};
    unscanned_.push_back(watch);
  }
  children_[{parent, name}] = watch;
}

int WatchTree::add(int parent, const std::string& name) {
  auto watch = inotify_.add_directory(below_root(relative(parent, name)), Inotify::Link::kRefuse);
  if (watch) return *watch;
  if (!is_absence(watch.error().os_errno())) failure_ = errno_words(watch.error().os_errno());
  return kNone;
}

void WatchTree::watch_child(int parent, const std::string& name) {
  int watch = add(parent, name);
  if (watch != kNone) attach(watch, parent, name);
}

// Both return what they cost.
int WatchTree::open_next() {
  scanning_watch_ = unscanned_.back();
  unscanned_.pop_back();
  if (nodes_.count(scanning_watch_) == 0) return 1;
  scanning_.reset(::opendir(below_root(relative(scanning_watch_)).c_str()));
  int error = errno;
  if (!scanning_ && is_absence(error)) unreached_.insert(scanning_watch_);
  if (!scanning_ && !is_absence(error)) failure_ = errno_words(error);
  return kDirectoryCost;
}

int WatchTree::scan_entry() {
  const dirent* entry = ::readdir(scanning_.get());
  if (entry == nullptr || nodes_.count(scanning_watch_) == 0) {
    scanning_.reset();
    return 1;
  }
  std::string name = entry->d_name;
  if (name == "." || name == ".." || !is_directory(scanning_.get(), *entry)) return 1;
  int watch = add(scanning_watch_, name);
  if (watch == kNone) {
    unreached_.insert(scanning_watch_);
  } else if (nodes_.count(watch) == 0) {
    // One that has another name already (a bind mount of a directory of this tree) keeps it.
    attach(watch, scanning_watch_, name);
  }
  return kDirectoryCost;
}

bool WatchTree::scan(int budget) {
  while (!failure_ && !ended_ && (scanning_ || !unscanned_.empty())) {
    if (budget <= 0) return true;
    budget -= scanning_ ? scan_entry() : open_next();
  }
  return false;
}

// Both halves of a directory's rename, and the record on the directory itself that follows them: by
// then it has arrived, or it has left the tree.
void WatchTree::follow_rename(const InotifyRecord& record) {
  const std::string name(record.name);
  if ((record.mask & IN_MOVED_FROM) != 0) {
    auto child = children_.find({record.watch, name});
    if (child == children_.end()) return;
    int moved = child->second;
    children_.erase(child);
    nodes_[moved].leaving = record.cookie;
    leaving_[record.cookie] = moved;
  } else if ((record.mask & IN_MOVED_TO) != 0) {
    auto moved = leaving_.find(record.cookie);
    if (moved != leaving_.end()) {
      attach(int{moved->second}, record.watch, name);
    } else {
      watch_child(record.watch, name);
    }
  } else if ((record.mask & IN_CREATE) != 0) {
    watch_child(record.watch, name);
  }
}

// The records that change the tree itself; true when that is all they do.
bool WatchTree::housekeeping(const InotifyRecord& record, std::vector<Change>& changes) {
  const bool root = record.watch == root_;
  if ((record.mask & IN_IGNORED) != 0) {
    ended_ = ended_ || root;
    forget(record.watch);
    return true;
  }
  if ((record.mask & IN_MOVE_SELF) != 0) {
    if (root) {
      changes.push_back({::filesystem::EVENT_TYPE_RENAME, "."});
      ended_ = true;
    } else if (nodes_[record.watch].leaving != 0) {
      forget(record.watch);
    }
    return true;
  }
  if ((record.mask & IN_DELETE_SELF) != 0) {
    if (root) {
      changes.push_back({::filesystem::EVENT_TYPE_REMOVE, "."});
      ended_ = true;
    }
    return true;  // of a sub-directory: its parent reports it
  }
  return false;
}

void WatchTree::apply(const InotifyRecord& record, std::vector<Change>& changes) {
  if (failure_ || ended_) return;
  if ((record.mask & IN_Q_OVERFLOW) != 0) {
    failure_ = kWatchOverflow;
    return;
  }
  if (nodes_.count(record.watch) == 0) return;  // a late record of a watch that was given up
  if (housekeeping(record, changes)) return;
  std::string name = relative(record.watch, record.name);
  for (const Mapping& mapping : kMappings) {
    if ((record.mask & mapping.mask) != 0) changes.push_back({mapping.type, name});
  }
  if (recursive_ && (record.mask & IN_ISDIR) != 0 && !record.name.empty()) follow_rename(record);
}

}  // namespace fakeapi::envd
