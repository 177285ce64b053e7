// Builds a sandbox's file systems as detached mounts: the overlay for /, the one for /usr, and
// /dev. Everything happens on one thread with a mount namespace of its own, so that nothing shows
// in the machine's mount table and everything goes when the thread ends. Used by linux_runtime.cc;
// knows nothing of processes.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "namespaces/container_runtime.h"

namespace namespaces {

struct Rootfs {
  base::UniqueFd root;
  base::UniqueFd usr;  // empty without a second overlay
  base::UniqueFd dev;
};

class RootfsBuilder {
 public:
  // Gives a user namespace with the id range, for the idmapped clones of the layers.
  using UsernsSource = std::function<base::Result<base::UniqueFd>(IdRange)>;

  explicit RootfsBuilder(UsernsSource userns) : userns_(std::move(userns)) {}

  // Call once, on the thread that will make every other call: moves it into its own mount
  // namespace. `scratch` is an existing directory to mount over there; `sandboxes` holds the
  // writable directories.
  base::Result<> enter_own_mounts(const std::filesystem::path& scratch,
                                  const std::filesystem::path& sandboxes);

  // `name` is a directory in `sandboxes`, made and filled by the caller (fill_writable).
  base::Result<Rootfs> build(const RootfsSpec& spec, IdRange ids, const std::string& name);

 private:
  // A read-only clone of a layer, shifted into an id range and attached in our namespace
  // (before 6.15 the kernel takes no detached mount as a layer).
  struct Layer {
    std::string name;  // of its mount point below the scratch directory
    dev_t device = 0;
    ino_t inode = 0;
  };

  base::Result<int> userns_of(IdRange ids);
  base::Result<std::string> layer(const std::filesystem::path& path, IdRange ids);
  base::Result<base::UniqueFd> overlay(const std::vector<std::filesystem::path>& layers,
                                       IdRange ids,
                                       const std::string& upper,
                                       const std::string& work);
  void forget_layers();

  UsernsSource userns_;
  std::map<std::pair<std::uint32_t, std::string>, Layer> layers_;
  // Of the last range: the layers of one sandbox share it. The mounts need no descriptor
  // afterwards.
  std::uint32_t userns_first_ = 0;
  base::UniqueFd last_userns_;
  unsigned next_layer_ = 0;
};

// upper, work, usr-upper, usr-work in `directory` (which is new and empty), owned by the sandbox's
// root.
base::Result<> fill_writable(const std::filesystem::path& directory, IdRange ids, bool with_usr);

// What an ended sandbox left in `directory` becomes good for another one: its files stay as they
// are, the overlay's own notes (that it was not synced) go.
base::Result<> renew_writable(const std::filesystem::path& directory, IdRange ids, bool with_usr);

// A tmpfs with the harmless device nodes, owned by the sandbox's root.
base::Result<base::UniqueFd> make_dev(IdRange ids);

}  // namespace namespaces
