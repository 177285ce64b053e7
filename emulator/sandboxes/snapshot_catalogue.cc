#include "emulator/sandboxes/snapshot_catalogue.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <thread>

#include "emulator/base/ids.h"
#include "emulator/base/log.h"

namespace emulator::sandboxes {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using base::Errc;
using base::UniqueFd;

namespace {

// A template with the locks on its layers.
struct OpenSnapshot {
  Template item;
  std::vector<UniqueFd> holds;
};

base::Failure not_found(const std::string& reference) {
  return base::fail(Errc::kNotFound, "template '" + reference + "' not found");
}

// Whoever collects, in this emulator or beside it, claims what may be unused before it looks
// whether something names it after all, and gives it back. A few queries' time, on a busy machine.
constexpr std::chrono::milliseconds kLongestClaim{5000};
constexpr std::chrono::milliseconds kClaimPoll{2};

bool is_claimed(const base::Error& error) {
  return error.os_errno() == EWOULDBLOCK;
}

constexpr const char* kInsert =
    "INSERT INTO snapshots (snapshot_id, names, body, created_at) VALUES (?, ?, ?, ?)";
constexpr const char* kUpdate = "UPDATE snapshots SET names = ?, body = ? WHERE snapshot_id = ?";
constexpr const char* kDelete = "DELETE FROM snapshots WHERE snapshot_id = ?";
constexpr const char* kSelect = "SELECT snapshot_id, names, body, created_at FROM snapshots";

std::set<std::string> named_layers(const std::vector<SnapshotRecord>& records) {
  std::set<std::string> named;
  for (const SnapshotRecord& record : records) {
    named.insert(record.layers.begin(), record.layers.end());
  }
  return named;
}

}  // namespace

SnapshotCatalogue::SnapshotCatalogue(asio::any_io_executor executor,
                                     store::Database& database,
                                     const TemplateStore& templates,
                                     fs::path data_dir,
                                     const std::string& instance)
    : database_(database),
      templates_(templates),
      layers_(std::move(data_dir), instance),
      tasks_(std::move(executor)),
      self_(std::make_shared<SnapshotCatalogue*>(this)) {}

base::Task<std::vector<SnapshotRecord>> SnapshotCatalogue::every() {
  SANDLOT_CO_TRY(auto rows, co_await database_.query(kSelect));
  std::vector<SnapshotRecord> records;
  for (const store::Row& row : rows) {
    auto record = record_of(store::text(row[0]), store::text(row[1]), store::text(row[2]),
                            store::integer(row[3]));
    if (record) records.push_back(std::move(*record));
    if (!record) base::log::error("snapshot.unreadable", {{"error", record.error().message()}});
  }
  co_return records;
}

base::Task<std::vector<SnapshotRecord>> SnapshotCatalogue::list() {
  SANDLOT_CO_TRY(auto records, co_await every());
  std::erase_if(records, [](const SnapshotRecord& record) { return record.hidden; });
  co_return records;
}

base::Task<SnapshotRecord> SnapshotCatalogue::record(std::string reference) {
  auto name = full_name(reference);
  if (!name) co_return not_found(reference);  // cannot be anybody's
  SANDLOT_CO_TRY(auto records, co_await every());
  for (SnapshotRecord& record : records) {
    bool by_id = *name == record.id + ":default";
    bool by_name = std::find(record.names.begin(), record.names.end(), *name) != record.names.end();
    if (by_id || by_name) co_return std::move(record);
  }
  co_return not_found(reference);
}

base::Task<TemplatePtr> SnapshotCatalogue::find(std::string reference) {
  SANDLOT_CO_TRY(SnapshotRecord found, co_await record(reference));
  co_return co_await open(std::move(found));
}

base::Result<const Template*> SnapshotCatalogue::template_below(const std::string& id) const {
  const Template* below = templates_.find(id);
  if (below != nullptr) return below;
  return base::fail(Errc::kUnavailable,
                    "the template '" + id + "' that the snapshot lies on is missing");
}

base::Result<namespaces::RootfsSpec> SnapshotCatalogue::rootfs_of(const Template& item) const {
  SANDLOT_TRY(const Template* below, template_below(item.base_template));
  namespaces::RootfsSpec rootfs;
  for (const std::string& layer : item.snapshot_layers) {
    fs::path directory = layers_.directory(layer);
    rootfs.root_layers.push_back(directory / namespaces::kCapturedRoot);
    rootfs.usr_layers.push_back(directory / namespaces::kCapturedUsr);
  }
  auto append = [](std::vector<fs::path>& layers, const std::vector<fs::path>& lower) {
    layers.insert(layers.end(), lower.begin(), lower.end());
  };
  append(rootfs.root_layers, below->rootfs.root_layers);
  append(rootfs.usr_layers, below->rootfs.usr_layers);
  if (below->rootfs.usr_layers.empty()) rootfs.usr_layers.clear();
  return rootfs;
}

bool SnapshotCatalogue::starts_httpbin(const Template& item) const {
  auto below = template_below(item.base_template);
  return below && (*below)->httpbin;
}

base::Task<TemplatePtr> SnapshotCatalogue::open(SnapshotRecord record) {
  if (auto item = open_[record.id].lock()) co_return item;
  std::vector<UniqueFd> holds;
  for (const std::string& layer : record.layers) {
    auto held = co_await hold_unclaimed(layer);
    if (!held) {
      co_return base::fail(Errc::kUnavailable, "the files of snapshot " + record.id +
                                                   " are missing: " + held.error().message());
    }
    holds.push_back(std::move(*held));
  }
  Template item;
  item.id = record.id;
  item.build_id = record.build_id;
  for (const std::string& name : record.names) {
    item.names.push_back(name.substr(0, name.find(':')));
  }
  item.limits = record.limits;
  item.disk_size_mb = record.disk_size_mb;
  item.created_at = record.created_at;
  item.unbuilt_port = record.unbuilt_port;
  item.snapshot_layers = record.layers;
  item.base_template = record.base_template;
  item.httpbin = starts_httpbin(item);
  SANDLOT_CO_TRY(item.rootfs, rootfs_of(item));
  if (auto other = open_[record.id].lock()) co_return other;  // while it waited
  co_return keep(std::move(item), std::move(holds));
}

base::Task<UniqueFd> SnapshotCatalogue::hold_unclaimed(std::string layer) {
  for (auto left = kLongestClaim;; left -= kClaimPoll) {
    auto held = layers_.hold(layer);
    if (held || !is_claimed(held.error()) || left <= kClaimPoll) co_return held;
    co_await base::sleep_for(kClaimPoll);
  }
}

TemplatePtr SnapshotCatalogue::hold(Template item) {
  if (auto known = open_[item.id].lock()) return known;
  std::vector<UniqueFd> holds;
  for (const std::string& layer : item.snapshot_layers) {
    auto held = layers_.hold(layer);
    for (auto left = kLongestClaim; !held && is_claimed(held.error()) && left > kClaimPoll;
         left -= kClaimPoll) {
      std::this_thread::sleep_for(kClaimPoll);
      held = layers_.hold(layer);
    }
    if (held) holds.push_back(std::move(*held));
    if (!held) base::log::error("snapshot.missing", {{"error", held.error().message()}});
  }
  auto rootfs = rootfs_of(item);
  if (rootfs) item.rootfs = std::move(*rootfs);
  item.httpbin = starts_httpbin(item);
  return keep(std::move(item), std::move(holds));
}

TemplatePtr SnapshotCatalogue::keep(Template item, std::vector<UniqueFd> holds) {
  auto opened = std::make_unique<OpenSnapshot>();
  opened->item = std::move(item);
  opened->holds = std::move(holds);
  auto release = [self = std::weak_ptr<SnapshotCatalogue*>(self_)](OpenSnapshot* gone) {
    std::unique_ptr<OpenSnapshot>(gone).reset();
    if (auto catalogue = self.lock()) (*catalogue)->let_go();
  };
  std::shared_ptr<OpenSnapshot> shared(opened.release(), std::move(release));
  TemplatePtr result(shared, &shared->item);
  open_[result->id] = result;
  return result;
}

base::Task<std::string> SnapshotCatalogue::paused() {
  SANDLOT_CO_TRY(auto rows, co_await database_.query("SELECT body FROM paused_sandboxes"));
  std::string all;
  for (const store::Row& row : rows) all += store::text(row[0]);
  co_return all;
}

base::Task<SnapshotCatalogue::Added> SnapshotCatalogue::add(SnapshotRecord record,
                                                            TemplatePtr below,
                                                            Fill fill) {
  record.id = base::random_id(20);
  record.build_id = base::make_uuid();
  record.base_template = below->base_template.empty() ? below->id : below->base_template;
  std::vector<std::string> merged;  // those that are to be in its own
  record.layers.push_back(record.id);
  const auto& lower = below->snapshot_layers;
  if (lower.size() < kMostLayers) {
    record.layers.insert(record.layers.end(), lower.begin(), lower.end());
  } else {
    merged = lower;
  }
  record.disk_size_mb = below->disk_size_mb;
  record.unbuilt_port = below->unbuilt_port;
  auto begin = [this, id = record.id] { return layers_.begin(id); };
  SANDLOT_CO_TRY(auto draft, co_await base::offload(pool_, std::move(begin)));
  auto filled = co_await fill(draft.directory);
  auto finish = [this, &draft, &merged, &record] {
    return complete(draft, merged, record.base_template, !record.hidden);
  };
  if (filled) filled = co_await base::offload(pool_, std::move(finish));
  if (filled) filled = co_await insert(record);
  if (filled) {
    Added added;
    SANDLOT_CO_TRY(added.item, co_await open(record));
    added.record = std::move(record);
    co_return added;
  }
  auto discard = [this, &draft] {
    layers_.discard(draft.directory);
    layers_.discard(layers_.directory(draft.id));
    return true;
  };
  co_await base::offload(pool_, std::move(discard));
  co_return base::Failure(std::move(filled).error());
}

base::Result<> SnapshotCatalogue::complete(const SnapshotLayers::Draft& draft,
                                           const std::vector<std::string>& lower,
                                           const std::string& base_template,
                                           bool durable) const {
  if (!lower.empty()) {
    SANDLOT_TRY(const Template* below, template_below(base_template));
    SANDLOT_CHECK(layers_.flatten(draft, lower, below->rootfs));
  }
  if (durable) SANDLOT_CHECK(SnapshotLayers::sync(draft));
  return layers_.finish(draft);
}

// The row, and the names taken from whoever has them: a snapshot that has lost its last name so
// lives as long as sandboxes are made of it.
base::Task<> SnapshotCatalogue::insert(SnapshotRecord record) {
  std::vector<store::Statement> statements;
  SANDLOT_CO_TRY(auto records, co_await list());
  for (SnapshotRecord& other : records) {
    auto count = std::erase_if(other.names, [&](const std::string& name) {
      return std::find(record.names.begin(), record.names.end(), name) != record.names.end();
    });
    if (count == 0) continue;
    other.hidden = other.names.empty();
    statements.push_back(
        {kUpdate, store::values(names_column(other), body_column(other), other.id)});
  }
  bool replaces = !statements.empty();
  statements.push_back({kInsert, store::values(record.id, names_column(record), body_column(record),
                                               milliseconds(record.created_at))});
  SANDLOT_CO_CHECK(co_await database_.transaction(std::move(statements)));
  if (replaces) let_go();
  co_return base::Result<>();
}

base::Task<> SnapshotCatalogue::remove(std::string id) {
  SANDLOT_CO_TRY(store::Changed changed, co_await database_.exec(kDelete, store::values(id)));
  if (changed.rows == 0) co_return not_found(id);
  let_go();
  co_return base::Result<>();
}

void SnapshotCatalogue::let_go() {
  again_ = true;
  if (collecting_ || stopping_) return;
  collecting_ = true;
  tasks_.spawn("snapshot layers", collect_later());
}

asio::awaitable<void> SnapshotCatalogue::collect_later() {
  while (again_) {
    again_ = false;
    co_await collect();
  }
  collecting_ = false;
}

asio::awaitable<void> SnapshotCatalogue::collect() {
  auto collected = co_await collect_unused();
  if (!collected) {
    base::log::warn("snapshots.not_collected", {{"error", collected.error().message()}});
  }
}

base::Task<> SnapshotCatalogue::collect_unused() {
  std::erase_if(open_, [](const auto& item) { return item.second.expired(); });
  SANDLOT_CO_TRY(auto records, co_await every());
  SANDLOT_CO_TRY(std::string sleeping, co_await paused());
  auto is_needed = [&sleeping](const std::string& id) {
    return sleeping.find(id) != std::string::npos;
  };
  for (const SnapshotRecord& record : records) {
    const std::string& own = record.layers.front();
    if (!record.hidden || is_needed(own) || layers_.is_held(own)) continue;
    SANDLOT_CO_CHECK(co_await database_.exec(kDelete, store::values(record.id)));
  }
  SANDLOT_CO_TRY(records, co_await every());
  auto look = [this, named = named_layers(records)] { return layers_.claim(named); };
  auto claims = co_await base::offload(pool_, std::move(look));
  // A layer may have got its row, and its maker let go of it, in between.
  SANDLOT_CO_TRY(records, co_await every());
  SANDLOT_CO_TRY(sleeping, co_await paused());
  auto named = named_layers(records);
  std::erase_if(claims, [&](const SnapshotLayers::Claim& unused) {
    return named.contains(unused.id) || is_needed(unused.id);
  });
  auto discard = [this, &claims] {
    for (const auto& unused : claims) layers_.discard(layers_.directory(unused.id));
    return true;
  };
  co_await base::offload(pool_, std::move(discard));
  co_return base::Result<>();
}

asio::awaitable<void> SnapshotCatalogue::stop() {
  co_await tasks_.join();
  stopping_ = true;
}

}  // namespace emulator::sandboxes
