#include "emulator/sandboxes/snapshot_layers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"
#include "emulator/base/posix.h"
#include "namespaces/layer_merge.h"
#include "namespaces/tree_removal.h"

#include <stdio.h>

namespace emulator::sandboxes {

namespace fs = std::filesystem;
using base::Errc;
using base::Result;
using base::UniqueFd;

namespace {

constexpr std::string_view kDraft = ".new-";
constexpr int kTries = 16;

Result<UniqueFd> lock(const fs::path& directory, int how) {
  SANDLOT_TRY(auto fd, base::open_file(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  while (::flock(fd.get(), how) != 0) {
    if (errno == EINTR) continue;
    return base::fail_errno("lock " + directory.string());
  }
  // It may have been renamed, or deleted, before it was locked.
  struct stat opened {};
  struct stat named {};
  if (::fstat(fd.get(), &opened) != 0 || ::stat(directory.c_str(), &named) != 0 ||
      opened.st_ino != named.st_ino || opened.st_dev != named.st_dev) {
    return base::fail(Errc::kNotFound, directory.string() + " is gone");
  }
  return fd;
}

}  // namespace

Result<SnapshotLayers::Draft> SnapshotLayers::begin(const std::string& id) const {
  SANDLOT_CHECK(base::make_directories(data_dir_ / "snapshots", 0700));
  Draft draft;
  draft.id = id;
  draft.directory = directory(std::string(kDraft) + id);
  for (int attempt = 1;; ++attempt) {
    if (::mkdir(draft.directory.c_str(), 0700) != 0) {
      return base::fail_errno("make " + draft.directory.string());
    }
    auto held = lock(draft.directory, LOCK_SH);
    // A collector beside us, which sees it before it is held, takes it for garbage.
    if (!held && held.error().code() == Errc::kNotFound && attempt < kTries) continue;
    if (!held) return base::Failure(std::move(held).error());
    draft.hold = std::move(*held);
    return draft;
  }
}

Result<> SnapshotLayers::flatten(const Draft& draft,
                                 const std::vector<std::string>& lower,
                                 const namespaces::RootfsSpec& below) const {
  namespaces::MergeReport report;
  for (const auto& [half, rest] : {std::pair(namespaces::kCapturedRoot, below.root_layers),
                                   std::pair(namespaces::kCapturedUsr, below.usr_layers)}) {
    std::error_code error;
    if (!fs::is_directory(draft.directory / half, error)) continue;
    std::vector<fs::path> layers;
    for (const std::string& id : lower) layers.push_back(directory(id) / half);
    SANDLOT_CHECK(namespaces::merge_layers(draft.directory / half, layers, rest, report));
  }
  base::log::debug("snapshot.flattened", {{"snapshot", draft.id},
                                          {"layers", std::to_string(lower.size())},
                                          {"linked", std::to_string(report.linked)},
                                          {"directories", std::to_string(report.directories)}});
  return {};
}

Result<> SnapshotLayers::sync(const Draft& draft) {
  // Of the whole file system: one call instead of one for each file.
  if (::syncfs(draft.hold.get()) != 0) return base::fail_errno("sync the snapshot");
  return {};
}

Result<> SnapshotLayers::finish(const Draft& draft) const {
  fs::path final_name = directory(draft.id);
  if (::rename(draft.directory.c_str(), final_name.c_str()) != 0) {
    return base::fail_errno("name " + final_name.string());
  }
  SANDLOT_TRY(auto parent, base::open_file(data_dir_ / "snapshots", O_RDONLY | O_DIRECTORY));
  if (::fsync(parent.get()) != 0) return base::fail_errno("sync " + final_name.string());
  return {};
}

void SnapshotLayers::discard(const fs::path& victim) const {
  std::string name = instance_ + "-" + base::random_id(12);
  fs::path trash = data_dir_ / "trash";
  auto moved = namespaces::move_to_trash(victim, trash, name);
  if (!moved && moved.error().code() == Errc::kNotFound) return;
  auto removed = moved ? namespaces::remove_entry(trash, name) : moved;
  if (!removed) {
    base::log::warn("snapshot.left",
                    {{"directory", victim.string()}, {"error", removed.error().message()}});
  }
}

Result<UniqueFd> SnapshotLayers::hold(const std::string& id) const {
  return lock(directory(id), LOCK_SH | LOCK_NB);
}

bool SnapshotLayers::is_held(const std::string& id) const {
  auto claimed = lock(directory(id), LOCK_EX | LOCK_NB);
  return !claimed && claimed.error().os_errno() == EWOULDBLOCK;
}

std::vector<SnapshotLayers::Claim> SnapshotLayers::claim(const std::set<std::string>& named) const {
  std::vector<Claim> claims;
  std::error_code error;
  for (fs::directory_iterator it(data_dir_ / "snapshots", error), end; !error && it != end;
       it.increment(error)) {
    std::string id = it->path().filename();
    if (named.contains(id)) continue;
    auto claimed = lock(it->path(), LOCK_EX | LOCK_NB);
    if (claimed) claims.push_back({std::move(id), std::move(*claimed)});
  }
  return claims;
}

}  // namespace emulator::sandboxes
