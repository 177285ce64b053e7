#include "emulator/sandboxes/template_store.h"

#include <algorithm>

#include "emulator/base/ids.h"

namespace emulator::sandboxes {

const Template* TemplateStore::find(std::string_view id_or_name) const {
  std::string_view name = id_or_name.substr(0, id_or_name.find(':'));
  for (const Template& item : templates_) {
    if (item.id == name) return &item;
    if (std::find(item.names.begin(), item.names.end(), name) != item.names.end()) return &item;
  }
  return nullptr;
}

void add_built_in_templates(TemplateStore& store,
                            const std::filesystem::path& rootfs,
                            const std::filesystem::path& usr,
                            base::TimePoint now) {
  auto add = [&](std::string id, std::string name, int memory_mb, std::uint16_t unbuilt_port) {
    Template item;
    item.id = std::move(id);
    item.build_id = base::make_uuid();
    item.names = {std::move(name)};
    item.limits.memory_mb = memory_mb;
    item.rootfs.root_layers = {rootfs};
    item.rootfs.usr_layers = {usr, "/usr"};
    item.created_at = now;
    item.unbuilt_port = unbuilt_port;
    item.httpbin = item.names.front() == "httpbin";
    store.add(std::move(item));
  };
  add("sandlotbasetemplate0", "base", 512, 0);
  add("sandlotcodeinterpret", "code-interpreter-v1", 2048, 49999);
  add("sandlothttpbinserver", "httpbin", 512, 0);
}

base::Result<> check_layers(const Template& item) {
  for (const auto* layers : {&item.rootfs.root_layers, &item.rootfs.usr_layers}) {
    for (const std::filesystem::path& layer : *layers) {
      std::error_code error;
      if (std::filesystem::is_directory(layer, error)) continue;
      return base::fail(
          base::Errc::kUnavailable,
          "the root file system of template '" + item.name() + "' is missing: " + layer.string());
    }
  }
  return {};
}

}  // namespace emulator::sandboxes
