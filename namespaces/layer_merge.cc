#include "namespaces/layer_merge.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "emulator/base/posix.h"
#include "namespaces/layer_attributes.h"
#include "namespaces/layer_capture.h"

namespace namespaces {

namespace {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;
using base::UniqueFd;

constexpr const char* kOpaque = "trusted.overlay.opaque";
constexpr const char* kRedirect = "trusted.overlay.redirect";

// A directory of one of the layers; layer 0 is the target, those after the merged ones stay.
struct Place {
  std::size_t layer = 0;
  std::shared_ptr<const UniqueFd> fd;
};

// One directory of the merged tree: what it is made of, and where it goes on below all layers.
struct Merged {
  std::vector<Place> places;         // the uppermost first
  std::optional<std::string> below;  // from their root, "" or "/a/b"; nullopt: nothing shows
};

// What a name is in a merged directory.
struct Found {
  enum class Kind { kNothing, kWhiteout, kFile, kDirectory };
  Kind kind = Kind::kNothing;
  Place parent;   // of a file or whiteout: in there it has its name
  Merged merged;  // of a directory
};

// An entry of one layer.
struct Entry {
  bool exists = false;
  bool whiteout = false;
  std::shared_ptr<const UniqueFd> directory;  // null: something else
};

std::string through(int fd) {
  return "/proc/self/fd/" + std::to_string(fd) + "/.";
}

Result<std::string> attribute(int fd, const char* name) {
  std::string value(4096, '\0');
  ssize_t size = ::getxattr(through(fd).c_str(), name, value.data(), value.size());
  if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) return "";
  if (size < 0) return base::fail_errno(std::string("read attribute ") + name);
  value.resize(static_cast<std::size_t>(size));
  return value;
}

Result<> set_attribute(int fd, const char* name, const std::string& value) {
  if (value.empty()) {
    if (::removexattr(through(fd).c_str(), name) == 0) return {};
    if (errno == ENODATA || errno == EOPNOTSUPP) return {};
  } else if (::setxattr(through(fd).c_str(), name, value.data(), value.size(), 0) == 0) {
    return {};
  }
  return base::fail_errno(std::string("set attribute ") + name);
}

Result<Entry> look(int directory, const std::string& name) {
  Entry entry;
  struct stat info {};
  if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return entry;
    return base::fail_errno("stat " + name);
  }
  entry.exists = true;
  entry.whiteout = S_ISCHR(info.st_mode);
  if (S_ISDIR(info.st_mode)) {
    SANDLOT_TRY(auto fd, base::open_at(directory, name.c_str(),
                                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    entry.directory = std::make_shared<const UniqueFd>(std::move(fd));
  }
  return entry;
}

Result<> set_times(int fd, const struct stat& info) {
  const std::array<timespec, 2> times = {info.st_atim, info.st_mtim};
  if (::futimens(fd, times.data()) != 0) return base::fail_errno("set times");
  return {};
}

Result<std::set<std::string>> names_in(int fd) {
  SANDLOT_TRY(auto own, base::open_at(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(own.get()), &::closedir);
  if (!directory) return base::fail_errno("open directory");
  (void)own.release();
  std::set<std::string> names;
  errno = 0;
  while (dirent* entry = ::readdir(directory.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.insert(std::move(name));
    errno = 0;
  }
  if (errno != 0) return base::fail_errno("read directory");
  return names;
}

class Merge {
 public:
  explicit Merge(MergeReport& report) : report_(report) {}

  Result<> run(const fs::path& target,
               const std::vector<fs::path>& lower,
               const std::vector<fs::path>& below) {
    SANDLOT_CHECK(add_root(target));
    for (const fs::path& layer : lower) SANDLOT_CHECK(add_root(layer));
    merged_ = roots_.size();
    for (const fs::path& layer : below) SANDLOT_CHECK(add_root(layer));
    Merged top;
    top.places = roots_;
    top.below = "";
    int root = roots_.front().fd->get();
    struct stat info {};
    if (::fstat(root, &info) != 0) return base::fail_errno("stat");
    SANDLOT_CHECK(fill(top, root, 0));
    return set_times(root, info);
  }

 private:
  // Follows one name through the layers, as the kernel does (fs/overlayfs/namei.c).
  class Search;

  Result<> add_root(const fs::path& path) {
    SANDLOT_TRY(auto fd, base::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    roots_.push_back({roots_.size(), std::make_shared<const UniqueFd>(std::move(fd))});
    return {};
  }

  // Adds to `into`, a directory of the target, what the lower layers have for it.
  Result<> fill(const Merged& merged, int into, int depth);
  Result<> add(const Merged& parent, const std::string& name, int into, int depth);
  Result<> add_directory(
      const Merged& parent, const Merged& merged, const std::string& name, int into, int depth);
  static Result<> drop_whiteout(const Found& found, const std::string& name, int into);
  static Result<> mark(const Merged& parent, const Merged& merged, const std::string& name, int fd);

  bool stays(const Place& place) const { return place.layer >= merged_; }

  MergeReport& report_;
  std::vector<Place> roots_;
  std::size_t merged_ = 0;  // how many of them
};

class Merge::Search {
 public:
  Search(const Merge& merge, const Merged& parent, std::string name)
      : merge_(merge), parent_(parent), name_(std::move(name)) {}

  Result<Found> run() {
    std::vector<Place> places = parent_.places;
    for (std::size_t at = 0; at < places.size() && !stopped_; ++at) {
      if (merge_.stays(places[at])) note_below();
      SANDLOT_CHECK(look_in(places[at]));
      if (found_.kind != Found::Kind::kDirectory) {
        if (found_.kind != Found::Kind::kNothing) return found_;
        continue;
      }
      if (!is_absolute() || absolute_) continue;
      // From here on it is looked up from the roots of the layers further down.
      absolute_ = true;
      std::size_t next = places[at].layer + 1;
      places.assign(merge_.roots_.begin() + static_cast<std::ptrdiff_t>(next), merge_.roots_.end());
      at = static_cast<std::size_t>(-1);
    }
    note_below();
    return found_;
  }

 private:
  bool is_absolute() const { return name_.starts_with('/'); }

  // When all layers that are merged have been asked: where it goes on, whatever is there.
  void note_below() {
    if (std::exchange(noted_, true) || stopped_) return;
    if (is_absolute()) {
      found_.merged.below = name_;
    } else if (parent_.below) {
      found_.merged.below = *parent_.below + "/" + name_;
    }
  }

  // Every component of the name, in one layer.
  Result<> look_in(const Place& place) {
    std::shared_ptr<const UniqueFd> directory = place.fd;
    std::string done;  // what comes before the component, with the slash after it
    std::string rest = name_;
    if (is_absolute()) {
      done = "/";
      rest = name_.substr(1);
    }
    for (;;) {
      std::size_t slash = rest.find('/');
      bool last = slash == std::string::npos;
      std::string component = rest.substr(0, slash);
      std::string post = last ? "" : rest.substr(slash);
      SANDLOT_TRY(Entry entry, look(directory->get(), component));
      if (!entry.exists) return {};
      if (!entry.directory) return not_a_directory(entry, last, place, directory);
      SANDLOT_CHECK(follow(*entry.directory, done, post));
      if (last) {
        found_.kind = Found::Kind::kDirectory;
        found_.merged.places.push_back({place.layer, std::move(entry.directory)});
        return {};
      }
      // A redirect on the way changes what comes before the rest.
      done = name_.substr(0, name_.size() - post.size()) + "/";
      rest = rest.substr(slash + 1);
      directory = std::move(entry.directory);
    }
  }

  Result<> not_a_directory(const Entry& entry,
                           bool last,
                           const Place& place,
                           const std::shared_ptr<const UniqueFd>& directory) {
    stopped_ = true;
    if (!last || found_.kind == Found::Kind::kDirectory || is_absolute()) return {};
    found_.kind = entry.whiteout ? Found::Kind::kWhiteout : Found::Kind::kFile;
    found_.parent = {place.layer, directory};
    return {};
  }

  // What a directory says about the layers further down.
  Result<> follow(const UniqueFd& directory, const std::string& done, const std::string& post) {
    SANDLOT_TRY(std::string opaque, attribute(directory.get(), kOpaque));
    if (opaque == "y") {
      stopped_ = true;
      return {};
    }
    SANDLOT_TRY(std::string redirect, attribute(directory.get(), kRedirect));
    if (redirect.empty()) return {};
    if (redirect.starts_with('/')) {
      stopped_ = false;
      name_ = redirect + post;
    } else {
      name_ = done + redirect + post;
    }
    return {};
  }

  const Merge& merge_;
  const Merged& parent_;
  std::string name_;  // in the next layer: one component, or a path from the root
  bool absolute_ = false;
  bool stopped_ = false;
  bool noted_ = false;
  Found found_;
};

Result<> Merge::fill(const Merged& merged, int into, int depth) {
  if (depth > kDeepestTree) {
    return base::fail(Errc::kFailedPrecondition,
                      "the snapshots have directories nested deeper than " +
                          std::to_string(kDeepestTree) + " levels");
  }
  std::set<std::string> names;
  for (const Place& place : merged.places) {
    if (stays(place)) break;
    SANDLOT_TRY(auto more, names_in(place.fd->get()));
    names.merge(std::move(more));
  }
  for (const std::string& name : names) {
    auto added = add(merged, name, into, depth);
    if (!added) return base::fail(std::move(added).error().context(name));
  }
  return {};
}

Result<> Merge::add(const Merged& parent, const std::string& name, int into, int depth) {
  SANDLOT_TRY(Found found, Search(*this, parent, name).run());
  switch (found.kind) {
    case Found::Kind::kNothing:
      return {};
    case Found::Kind::kDirectory:
      return add_directory(parent, found.merged, name, into, depth);
    case Found::Kind::kWhiteout:
      if (!stays(parent.places.back())) return drop_whiteout(found, name, into);
      break;
    case Found::Kind::kFile:
      break;
  }
  if (found.parent.layer == 0) return {};  // it is there
  if (found.kind == Found::Kind::kFile) ++report_.linked;
  if (::linkat(found.parent.fd->get(), name.c_str(), into, name.c_str(), 0) != 0) {
    return base::fail_errno("link");
  }
  return {};
}

// There is nothing that it could hide.
Result<> Merge::drop_whiteout(const Found& found, const std::string& name, int into) {
  if (found.parent.layer != 0 || ::unlinkat(into, name.c_str(), 0) == 0) return {};
  return base::fail_errno("remove");
}

Result<> Merge::add_directory(
    const Merged& parent, const Merged& merged, const std::string& name, int into, int depth) {
  const Place& top = merged.places.front();
  struct stat info {};
  if (::fstat(top.fd->get(), &info) != 0) return base::fail_errno("stat");
  UniqueFd made;
  if (top.layer != 0) {
    if (::mkdirat(into, name.c_str(), 0700) != 0) return base::fail_errno("make");
    SANDLOT_TRY(made,
                base::open_at(into, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ++report_.directories;
  }
  int fd = made ? made.get() : top.fd->get();
  SANDLOT_CHECK(fill(merged, fd, depth + 1));
  // The ids of layers are those of templates already.
  if (made) SANDLOT_CHECK(copy_attributes(info, {top.fd->get(), fd, nullptr}, IdRange()));
  SANDLOT_CHECK(mark(parent, merged, name, fd));
  return set_times(fd, info);
}

// Where it goes on below, in overlayfs' words.
Result<> Merge::mark(const Merged& parent, const Merged& merged, const std::string& name, int fd) {
  std::optional<std::string> natural;
  if (parent.below) natural = *parent.below + "/" + name;
  bool opaque = natural && !merged.below;
  bool redirected = merged.below && merged.below != natural;
  SANDLOT_CHECK(set_attribute(fd, kOpaque, opaque ? "y" : ""));
  return set_attribute(fd, kRedirect, redirected ? *merged.below : "");
}

}  // namespace

Result<> merge_layers(const fs::path& target,
                      const std::vector<fs::path>& lower,
                      const std::vector<fs::path>& below,
                      MergeReport& report) {
  return Merge(report).run(target, lower, below);
}

}  // namespace namespaces
