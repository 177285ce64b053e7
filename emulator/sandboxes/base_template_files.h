// The texts of the `base` template's own files: nothing here is read from the machine. Used by
// base_template.cc. Raise kRecipeVersion with every change of the recipe, here or there: existing
// templates are then derived anew.
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>

namespace emulator::sandboxes {

inline constexpr int kRecipeVersion = 3;

struct TextFile {
  std::string_view path;  // below the root, no leading slash
  std::string_view text;
  mode_t mode = 0644;
  uid_t owner = 0;  // group the same
};
struct Directory {
  std::string_view path;
  mode_t mode = 0755;
  uid_t uid = 0;
  gid_t gid = 0;
};
struct Link {
  std::string_view path;
  std::string_view target;
};

// In an order in which parents come first.
std::span<const Directory> root_directories();
std::span<const TextFile> root_files();
std::span<const Link> root_links();
// The layer over /usr.
std::span<const Directory> usr_directories();
std::span<const TextFile> usr_files();

}  // namespace emulator::sandboxes
