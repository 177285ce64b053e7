#include "fakeapi/envd/directory_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "emulator/base/posix.h"
#include "fakeapi/envd/exit_words.h"

namespace fakeapi::envd {

namespace asio = boost::asio;
using base::Errc;

namespace {

constexpr int kEntriesPerTurn = 256;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

base::Failure words_error(const std::string& what, int error) {
  base::Error coded = base::os_error(what, error);
  return base::fail(base::Error(coded.code(), what + ": " + errno_words(error), error));
}

bool is_dot(std::string_view name) {
  return name == "." || name == "..";
}

struct Item {
  std::string name;
  bool directory = false;
};

// nullopt when it cannot be opened (vanished, or was replaced).
std::optional<std::vector<Item>> read_directory(const std::string& path) {
  Directory directory(::opendir(path.c_str()));
  if (!directory) return std::nullopt;
  std::vector<Item> items;
  while (dirent* entry = ::readdir(directory.get())) {
    if (is_dot(entry->d_name)) continue;
    Item item;
    item.name = entry->d_name;
    item.directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat info {};
      item.directory =
          ::fstatat(::dirfd(directory.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISDIR(info.st_mode);
    }
    items.push_back(std::move(item));
  }
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.name < b.name; });
  return items;
}

}  // namespace

base::Result<> ensure_directories(const std::string& path, uid_t uid, gid_t gid) {
  std::size_t at = 0;
  while (at < path.size()) {
    at = path.find('/', at + 1);
    if (at == std::string::npos) at = path.size();
    std::string part = path.substr(0, at);
    struct stat info {};
    if (::stat(part.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) continue;
      return base::fail(Errc::kInvalidArgument, "path is a file: " + part);
    }
    if (errno != ENOENT) return words_error("stat " + part, errno);
    if (::mkdir(part.c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return words_error("mkdir " + part, errno);
    }
    if (::chown(part.c_str(), uid, gid) != 0) return words_error("chown " + part, errno);
  }
  return {};
}

base::Task<> walk_tree(std::string root,
                       std::uint32_t depth,
                       std::function<void(const std::string&)> visit) {
  struct Level {
    std::string path;
    std::vector<Item> items;
    std::size_t next = 0;
  };
  auto executor = co_await asio::this_coro::executor;
  auto first = read_directory(root);
  if (!first) co_return words_error("open " + root, errno);
  std::vector<Level> levels;
  levels.push_back({root == "/" ? "" : root, std::move(*first), 0});
  int visited = 0;
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.next == level.items.size()) {
      levels.pop_back();
      continue;
    }
    const Item& item = level.items[level.next++];
    std::string path = level.path + "/" + item.name;
    visit(path);
    if (item.directory && levels.size() < depth) {
      auto below = read_directory(path);
      if (below) levels.push_back({std::move(path), std::move(*below), 0});
    }
    if (++visited % kEntriesPerTurn == 0) co_await asio::post(executor, asio::use_awaitable);
  }
  co_return base::Result<>();
}

base::Task<> remove_tree(std::string path) {
  // Descriptors, not paths, below the root: a directory that is swapped for a symlink meanwhile is
  // not followed.
  struct Level {
    Directory directory;
    std::string name;
  };
  auto executor = co_await asio::this_coro::executor;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) co_return base::Result<>();
  if (errno != EISDIR && errno != EPERM) co_return words_error("unlink " + path, errno);
  base::UniqueFd top(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top) co_return words_error("open " + path, errno);
  std::vector<Level> levels;
  Directory root(::fdopendir(top.get()));
  if (!root) co_return words_error("open " + path, errno);
  [[maybe_unused]] int given = top.release();
  levels.push_back({std::move(root), path});
  int removed = 0;
  while (!levels.empty()) {
    DIR* directory = levels.back().directory.get();
    dirent* entry = ::readdir(directory);
    if (entry == nullptr) {
      std::string name = std::move(levels.back().name);
      levels.pop_back();
      int parent = levels.empty() ? AT_FDCWD : ::dirfd(levels.back().directory.get());
      if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        co_return words_error("unlinkat " + name, errno);
      }
      continue;
    }
    std::string name = entry->d_name;
    if (is_dot(name)) continue;
    if (++removed % kEntriesPerTurn == 0) co_await asio::post(executor, asio::use_awaitable);
    int fd = ::dirfd(directory);
    if (::unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) co_return words_error("unlinkat " + name, errno);
    base::UniqueFd below(
        ::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) co_return words_error("open " + name, errno);
    Directory opened(::fdopendir(below.get()));
    if (!opened) co_return words_error("open " + name, errno);
    [[maybe_unused]] int moved = below.release();
    levels.push_back({std::move(opened), std::move(name)});
  }
  co_return base::Result<>();
}

}  // namespace fakeapi::envd
