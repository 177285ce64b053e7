// The port between the volume routes and the machine, as plain values: volumes themselves, and
// E2B's API of their files. Implemented by emulator/volumes; faked in tests. Sources:
// contract-novita 2.3, 7.4.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/clock.h"
#include "emulator/base/result.h"

namespace fakeapi::cloud {

struct VolumeQuota {
  std::uint64_t size_gib = 0;
  std::uint64_t inodes = 0;
  bool operator==(const VolumeQuota&) const = default;
};

struct NewVolume {
  std::string name;
  std::optional<VolumeQuota> quota;
};

struct VolumeInfo {
  std::string volume_id;
  std::string name;
  std::string token;  // opens the files of this volume
  std::optional<VolumeQuota> quota;
  std::uint64_t used_bytes = 0;
};

class VolumeService {
 public:
  virtual ~VolumeService() = default;
  // kAlreadyExists when the name is taken; kUnimplemented for a quota where the machine has no
  // loop devices.
  virtual base::Task<VolumeInfo> create(NewVolume wanted) = 0;
  // In the order of creation.
  virtual base::Task<std::vector<VolumeInfo>> list() = 0;
  // kNotFound for an unknown id, here and below.
  virtual base::Task<VolumeInfo> get(std::string id) = 0;
  // kInvalidArgument when it would shrink, or the volume has none; kConflict when it can grow only
  // unmounted and is in use.
  virtual base::Task<VolumeInfo> set_quota(std::string id, VolumeQuota quota) = 0;
  // kConflict while a sandbox has it.
  virtual base::Task<> remove(std::string id) = 0;
};

// A file, directory or link in a volume.
struct VolumeEntry {
  enum class Type { kUnknown, kFile, kDirectory, kSymlink };
  std::string name;
  Type type = Type::kUnknown;
  std::string path;  // absolute, from the volume's root
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  // permissions only
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  base::TimePoint atime;
  base::TimePoint mtime;
  base::TimePoint ctime;
  std::optional<std::string> target;  // of a symlink
};

struct EntryAttributes {
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<std::uint32_t> mode;
};

class VolumeReader {
 public:
  virtual ~VolumeReader() = default;
  virtual std::uint64_t size() const = 0;
  // Empty at the end.
  virtual base::Task<std::string> read() = 0;
};

// A file that is being written; one that is dropped before finish() stays as it is then, or goes
// when it was new.
class VolumeWriter {
 public:
  virtual ~VolumeWriter() = default;
  virtual base::Task<> write(std::string bytes) = 0;
  virtual base::Task<VolumeEntry> finish() = 0;
};

// Paths are as the client sent them; they and the links in the volume never lead out of it.
// kNotFound for an unknown volume or path.
class VolumeFiles {
 public:
  virtual ~VolumeFiles() = default;
  // kUnauthenticated unless it is the volume's token.
  virtual base::Task<> authorise(std::string id, std::string token) = 0;
  virtual base::Task<std::vector<VolumeEntry>> list(std::string id,
                                                    std::string path,
                                                    unsigned depth) = 0;
  virtual base::Task<VolumeEntry> stat(std::string id, std::string path) = 0;
  // `force`: makes parents, and an existing directory is fine.
  virtual base::Task<VolumeEntry> make_directory(std::string id,
                                                 std::string path,
                                                 EntryAttributes attributes,
                                                 bool force) = 0;
  virtual base::Task<VolumeEntry> change(std::string id,
                                         std::string path,
                                         EntryAttributes attributes) = 0;
  // With everything in it.
  virtual base::Task<> remove(std::string id, std::string path) = 0;
  virtual base::Task<std::unique_ptr<VolumeReader>> read(std::string id, std::string path) = 0;
  // `force`: makes parents, and an existing file is replaced.
  virtual base::Task<std::unique_ptr<VolumeWriter>> write(std::string id,
                                                          std::string path,
                                                          EntryAttributes attributes,
                                                          bool force) = 0;
};

}  // namespace fakeapi::cloud
