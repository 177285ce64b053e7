// Volumes and their files in memory, as the ports promise: one volume "v1" named "data" with the
// token "secret", and one file in it. `fail_next` makes the next call fail.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakeapi/cloud/volume_service.h"

namespace tests {

namespace cloud = fakeapi::cloud;

class FakeVolumes final : public cloud::VolumeService, public cloud::VolumeFiles {
 public:
  FakeVolumes() {
    known.volume_id = "v1";
    known.name = "data";
    known.token = "secret";
    known.used_bytes = 4096;
  }

  base::Task<cloud::VolumeInfo> create(cloud::NewVolume wanted) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    cloud::VolumeInfo info = known;
    info.name = wanted.name;
    info.quota = wanted.quota;
    last_quota = wanted.quota;
    co_return info;
  }
  base::Task<std::vector<cloud::VolumeInfo>> list() override {
    std::vector<cloud::VolumeInfo> all;
    all.push_back(known);
    co_return all;
  }
  base::Task<cloud::VolumeInfo> get(std::string id) override {
    if (id != known.volume_id) co_return base::fail(base::Errc::kNotFound, "Volume not found");
    co_return known;
  }
  base::Task<cloud::VolumeInfo> set_quota(std::string id, cloud::VolumeQuota quota) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    if (id != known.volume_id) co_return base::fail(base::Errc::kNotFound, "Volume not found");
    last_quota = quota;
    known.quota = quota;
    co_return known;
  }
  base::Task<> remove(std::string id) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    if (id != known.volume_id) co_return base::fail(base::Errc::kNotFound, "Volume not found");
    co_return base::Result<>();
  }

  base::Task<> authorise(std::string id, std::string token) override {
    if (id != known.volume_id) co_return base::fail(base::Errc::kNotFound, "Volume not found");
    if (token == known.token) co_return base::Result<>();
    co_return base::fail(base::Errc::kUnauthenticated, "invalid volume token");
  }
  base::Task<std::vector<cloud::VolumeEntry>> list(std::string,
                                                   std::string path,
                                                   unsigned depth) override {
    note(path + " depth " + std::to_string(depth));
    std::vector<cloud::VolumeEntry> all;
    all.push_back(entry("/x"));
    co_return all;
  }
  base::Task<cloud::VolumeEntry> stat(std::string, std::string path) override {
    if (auto failure = take_failure()) co_return base::Failure(*failure);
    co_return entry(path);
  }
  base::Task<cloud::VolumeEntry> make_directory(std::string,
                                                std::string path,
                                                cloud::EntryAttributes attributes,
                                                bool force) override {
    note(path + describe(attributes, force));
    co_return entry(path);
  }
  base::Task<cloud::VolumeEntry> change(std::string,
                                        std::string path,
                                        cloud::EntryAttributes attributes) override {
    note(path + describe(attributes, false));
    co_return entry(path);
  }
  base::Task<> remove(std::string, std::string path) override {
    note(path);
    co_return base::Result<>();
  }
  base::Task<std::unique_ptr<cloud::VolumeReader>> read(std::string, std::string path) override {
    if (path != "/x") co_return base::fail(base::Errc::kNotFound, "Path not found");
    std::unique_ptr<cloud::VolumeReader> reader = std::make_unique<Reader>(content, announced);
    co_return reader;
  }
  base::Task<std::unique_ptr<cloud::VolumeWriter>> write(std::string,
                                                         std::string path,
                                                         cloud::EntryAttributes attributes,
                                                         bool force) override {
    note(path + describe(attributes, force));
    content.clear();
    std::unique_ptr<cloud::VolumeWriter> writer = std::make_unique<Writer>(*this);
    co_return writer;
  }

  cloud::VolumeInfo known;
  std::optional<cloud::VolumeQuota> last_quota;
  std::optional<base::Error> fail_next;
  std::string last_call;
  std::string content = "content";
  std::optional<std::uint64_t> announced;  // the size that a reader claims

 private:
  class Reader final : public cloud::VolumeReader {
   public:
    Reader(std::string text, std::optional<std::uint64_t> size)
        : text_(std::move(text)), size_(size.value_or(text_.size())) {}
    std::uint64_t size() const override { return size_; }
    base::Task<std::string> read() override { co_return std::exchange(text_, ""); }

   private:
    std::string text_;
    std::uint64_t size_;
  };
  class Writer final : public cloud::VolumeWriter {
   public:
    explicit Writer(FakeVolumes& volumes) : volumes_(volumes) {}
    base::Task<> write(std::string bytes) override {
      volumes_.content += bytes;
      co_return base::Result<>();
    }
    base::Task<cloud::VolumeEntry> finish() override { co_return entry("/x"); }

   private:
    FakeVolumes& volumes_;
  };

  static cloud::VolumeEntry entry(const std::string& path) {
    cloud::VolumeEntry made;
    made.name = path.substr(path.rfind('/') + 1);
    made.path = path;
    made.type = cloud::VolumeEntry::Type::kFile;
    made.mode = 0644;
    return made;
  }
  static std::string describe(const cloud::EntryAttributes& attributes, bool force) {
    auto text = [](const auto& value) { return value ? std::to_string(*value) : "-"; };
    return " " + text(attributes.uid) + " " + text(attributes.gid) + " " + text(attributes.mode) +
           (force ? " force" : "");
  }
  void note(std::string call) { last_call = std::move(call); }
  std::optional<base::Error> take_failure() { return std::exchange(fail_next, std::nullopt); }
};

}  // namespace tests
