// The templates that sandboxes are made from: names, sizes, and the directories of their root file
// systems. Used by LocalSandboxService. Does not build templates.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "namespaces/container_runtime.h"

namespace emulator::sandboxes {

struct Template {
  std::string id;  // 20 lower-case characters (contract-novita 2.0)
  std::string build_id;
  std::vector<std::string> names;  // aliases, the first is the one shown
  namespaces::Limits limits;
  int disk_size_mb = 10240;
  namespaces::RootfsSpec rootfs;  // without `writable`
  base::TimePoint created_at;
  // A port that the cloud's template serves and ours does not yet (the code interpreter); 0 = none.
  std::uint16_t unbuilt_port = 0;
  bool httpbin = false;  // serves httpbin from the start
  // Of a snapshot (snapshot_catalogue.h): its layers, the uppermost first, and the id of the
  // template below them. No blanks are kept ready of one.
  std::vector<std::string> snapshot_layers;
  std::string base_template;

  // The name that is shown; "" for a snapshot without one.
  std::string name() const { return names.empty() ? "" : names.front(); }
};

class TemplateStore {
 public:
  void add(Template item) { templates_.push_back(std::move(item)); }
  // By id or by name; a tag ("base:default") is cut off.
  const Template* find(std::string_view id_or_name) const;
  const std::vector<Template>& all() const { return templates_; }

 private:
  std::vector<Template> templates_;
};

// `base`, `code-interpreter-v1` and `httpbin`: the same root file system, derived from this
// machine.
void add_built_in_templates(TemplateStore& store,
                            const std::filesystem::path& rootfs,
                            const std::filesystem::path& usr,
                            base::TimePoint now);

// kUnavailable naming the first layer that is not a directory.
base::Result<> check_layers(const Template& item);

}  // namespace emulator::sandboxes
