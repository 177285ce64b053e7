// The snapshots that there are: rows of the database, directories of layers, and the templates that
// sandboxes are made from. The database is the truth, because another emulator may write to it.
// Used by LocalSandboxService. Knows no sandbox; what a layer is filled with, the caller does.
// docs/snapshots.md has the order of the steps.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "emulator/base/async.h"
#include "emulator/base/task_group.h"
#include "emulator/sandboxes/snapshot_layers.h"
#include "emulator/sandboxes/snapshot_record.h"
#include "emulator/sandboxes/template_store.h"
#include "emulator/store/database.h"

namespace emulator::sandboxes {

// A template that a sandbox keeps while it lives: the layers of a snapshot stay as long.
using TemplatePtr = std::shared_ptr<const Template>;

class SnapshotCatalogue {
 public:
  SnapshotCatalogue(boost::asio::any_io_executor executor,
                    store::Database& database,
                    const TemplateStore& templates,
                    std::filesystem::path data_dir,
                    const std::string& instance);

  // By id, by "name:tag", by "name" (its tag "default"); the id may have the tag "default".
  // kNotFound "template '<reference>' not found"; kUnavailable when its files are not there.
  base::Task<TemplatePtr> find(std::string reference);
  // For a paused sandbox of an emulator that has ended: what it was made of, kept from now on, on
  // the template below as it is today. Blocking: for a moment, or while somebody else looks whether
  // the files are garbage.
  TemplatePtr hold(Template item);
  // The rows of paused sandboxes, whoever's, as one text: those that need an id have it in theirs.
  base::Task<std::string> paused();
  // kNotFound; hidden ones are found by their id.
  base::Task<SnapshotRecord> record(std::string reference);
  // Those that are not hidden, in no order.
  base::Task<std::vector<SnapshotRecord>> list();

  // Makes a snapshot on top of what `below` is made of; the record says the limits. `fill` puts the
  // layers into an empty directory (namespaces::Container::capture); then everything is made
  // durable unless the record is hidden. On top of kMostLayers it has all of them in its own. A
  // name that another one has moves here. After an error nothing is left. Errors: kNoSpace, those
  // of `fill`.
  using Fill = std::function<base::Task<>(std::filesystem::path directory)>;
  struct Added {
    SnapshotRecord record;
    TemplatePtr item;  // a hidden one is gone when nobody keeps this
  };
  base::Task<Added> add(SnapshotRecord record, TemplatePtr below, Fill fill);
  // Its files go when nothing is made of them any more.
  base::Task<> remove(std::string id);

  // Deletes what no row names and nobody holds: at the start, when paused sandboxes hold theirs
  // again, and whenever a template is let go.
  boost::asio::awaitable<void> collect();
  // Completes when no deletion is under way; none begins any more.
  boost::asio::awaitable<void> stop();

 private:
  base::Task<std::vector<SnapshotRecord>> every();
  base::Task<TemplatePtr> open(SnapshotRecord record);
  // SnapshotLayers::hold(), when nobody claims it any more.
  base::Task<base::UniqueFd> hold_unclaimed(std::string layer);
  TemplatePtr keep(Template item, std::vector<base::UniqueFd> holds);
  base::Result<const Template*> template_below(const std::string& id) const;
  // The layers of the item, on top of the template below.
  base::Result<namespaces::RootfsSpec> rootfs_of(const Template& item) const;
  // What the template below starts is started again in whatever is made of the item.
  bool starts_httpbin(const Template& item) const;
  // The draft, filled, gets its name; with `lower` in it, and on the disk when `durable`.
  base::Result<> complete(const SnapshotLayers::Draft& draft,
                          const std::vector<std::string>& lower,
                          const std::string& base_template,
                          bool durable) const;
  base::Task<> insert(SnapshotRecord record);
  void let_go();
  base::Task<> collect_unused();
  boost::asio::awaitable<void> collect_later();

  store::Database& database_;
  const TemplateStore& templates_;
  SnapshotLayers layers_;
  std::map<std::string, std::weak_ptr<const Template>> open_;
  base::BlockingPool pool_{1};
  base::TaskGroup tasks_;
  bool collecting_ = false;
  bool again_ = false;
  bool stopping_ = false;
  std::shared_ptr<SnapshotCatalogue*> self_;  // for templates that outlive this
};

}  // namespace emulator::sandboxes
