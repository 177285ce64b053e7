#include "emulator/volumes/volume_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include "emulator/base/posix.h"
#include "emulator/base/secret.h"
#include "emulator/volumes/volume_tree.h"

namespace emulator::volumes {

namespace cloud = fakeapi::cloud;
using base::Errc;
using base::Result;
using base::Task;

namespace {

constexpr std::size_t kChunk = 256U << 10U;

class FileReader final : public cloud::VolumeReader {
 public:
  FileReader(base::BlockingPool& pool, base::UniqueFd file, std::uint64_t size)
      : pool_(pool), file_(std::move(file)), size_(size) {}

  std::uint64_t size() const override { return size_; }
  Task<std::string> read() override {
    // No more than the size that was announced, should the file grow meanwhile.
    auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, size_ - done_));
    if (want == 0) co_return std::string();
    auto work = [fd = file_.get(), want]() -> Result<std::string> {
      std::string bytes(want, '\0');
      SANDLOT_TRY(std::size_t count, base::read_some(fd, bytes));
      bytes.resize(count);
      return bytes;
    };
    SANDLOT_CO_TRY(std::string bytes, co_await base::offload(pool_, std::move(work)));
    done_ += bytes.size();
    co_return bytes;
  }

 private:
  base::BlockingPool& pool_;
  base::UniqueFd file_;
  std::uint64_t size_;
  std::uint64_t done_ = 0;
};

class FileWriter final : public cloud::VolumeWriter {
 public:
  FileWriter(base::BlockingPool& pool, VolumeRoot root, std::string path, VolumeTree::NewFile file)
      : pool_(pool), root_(std::move(root)), path_(std::move(path)), file_(std::move(file)) {}
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter() override {
    if (!finished_ && file_.is_new) VolumeTree(root_->get()).unlink(path_);
  }

  Task<> write(std::string bytes) override {
    auto work = [fd = file_.fd.get(), bytes = std::move(bytes)] {
      return base::write_all(fd, bytes);
    };
    co_return co_await base::offload(pool_, std::move(work));
  }

  Task<cloud::VolumeEntry> finish() override {
    auto work = [this]() -> Result<cloud::VolumeEntry> {
      if (::fsync(file_.fd.get()) != 0) return base::fail_errno("sync " + path_);
      return VolumeTree(root_->get()).stat(path_);
    };
    auto entry = co_await base::offload(pool_, std::move(work));
    finished_ = entry.has_value();
    co_return entry;
  }

 private:
  base::BlockingPool& pool_;
  VolumeRoot root_;
  std::string path_;
  VolumeTree::NewFile file_;
  bool finished_ = false;
};

// Opens the volume, cleans the path, and runs `act(tree, path)` on the pool.
template <class F>
auto with_tree(
    VolumeStore& store, base::BlockingPool& pool, std::string id, std::string path, F act)
    -> boost::asio::awaitable<std::invoke_result_t<F, VolumeTree, std::string>> {
  SANDLOT_CO_TRY(std::string clean, clean_path(path));
  SANDLOT_CO_TRY(VolumeRoot root, co_await store.open(std::move(id)));
  auto work = [root, clean, act = std::move(act)] { return act(VolumeTree(root->get()), clean); };
  co_return co_await base::offload(pool, std::move(work));
}

}  // namespace

Task<> StoredVolumeFiles::authorise(std::string id, std::string token) {
  SANDLOT_CO_TRY(VolumeRecord record, co_await store_.find(std::move(id)));
  if (!token.empty() && base::same_secret(record.token, token)) co_return Result<>();
  co_return base::fail(Errc::kUnauthenticated, "invalid volume token");
}

Task<std::vector<cloud::VolumeEntry>> StoredVolumeFiles::list(std::string id,
                                                              std::string path,
                                                              unsigned depth) {
  auto act = [depth](VolumeTree tree, const std::string& clean) { return tree.list(clean, depth); };
  co_return co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act));
}

Task<cloud::VolumeEntry> StoredVolumeFiles::stat(std::string id, std::string path) {
  auto act = [](VolumeTree tree, const std::string& clean) { return tree.stat(clean); };
  co_return co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act));
}

Task<cloud::VolumeEntry> StoredVolumeFiles::make_directory(std::string id,
                                                           std::string path,
                                                           cloud::EntryAttributes attributes,
                                                           bool force) {
  auto act = [attributes, force](VolumeTree tree, const std::string& clean) {
    return tree.make_directory(clean, attributes, force);
  };
  co_return co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act));
}

Task<cloud::VolumeEntry> StoredVolumeFiles::change(std::string id,
                                                   std::string path,
                                                   cloud::EntryAttributes attributes) {
  auto act = [attributes](VolumeTree tree, const std::string& clean) {
    return tree.change(clean, attributes);
  };
  co_return co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act));
}

Task<> StoredVolumeFiles::remove(std::string id, std::string path) {
  auto act = [](VolumeTree tree, const std::string& clean) { return tree.remove(clean); };
  co_return co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act));
}

Task<std::unique_ptr<cloud::VolumeReader>> StoredVolumeFiles::read(std::string id,
                                                                   std::string path) {
  auto act = [](VolumeTree tree, const std::string& clean) { return tree.open_file(clean); };
  SANDLOT_CO_TRY(auto file,
                 co_await with_tree(store_, pool_, std::move(id), std::move(path), std::move(act)));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) co_return base::fail_errno("size");
  auto size = static_cast<std::uint64_t>(info.st_size);
  co_return std::make_unique<FileReader>(pool_, std::move(file), size);
}

Task<std::unique_ptr<cloud::VolumeWriter>> StoredVolumeFiles::write(
    std::string id, std::string path, cloud::EntryAttributes attributes, bool force) {
  SANDLOT_CO_TRY(std::string clean, clean_path(path));
  SANDLOT_CO_TRY(VolumeRoot root, co_await store_.open(std::move(id)));
  auto work = [root, clean, attributes, force] {
    return VolumeTree(root->get()).create_file(clean, attributes, force);
  };
  SANDLOT_CO_TRY(auto file, co_await base::offload(pool_, std::move(work)));
  co_return std::make_unique<FileWriter>(pool_, std::move(root), std::move(clean), std::move(file));
}

}  // namespace emulator::volumes
