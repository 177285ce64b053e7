// One uploaded file being written: parents, ownership, content in few large writes, metadata at the
// end, in exactly the order that watchers of the directory expect to see (contract-envd 1.7).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "fakeapi/envd/file_metadata.h"
#include "fakeapi/envd/http_call.h"
#include "fakeapi/envd/user_database.h"

namespace fakeapi::envd {

class FileSink {
 public:
  // Creates or truncates `path` for `user`. `expected_bytes` (of the request) is only for the
  // message of a full disk.
  static tl::expected<FileSink, HttpError> open(const std::string& path,
                                                const User& user,
                                                std::optional<std::uint64_t> expected_bytes);

  // Room for the next bytes: fill some of it, then commit().
  std::span<char> space();
  tl::expected<void, HttpError> commit(std::size_t count);
  tl::expected<void, HttpError> write(std::string_view bytes);
  // Writes what is buffered and makes the metadata exactly this.
  tl::expected<void, HttpError> finish(const Metadata& metadata);

 private:
  FileSink() = default;
  tl::expected<void, HttpError> flush();
  tl::unexpected<HttpError> write_error(int error) const;

  base::UniqueFd fd_;
  std::string path_;
  std::optional<std::uint64_t> expected_bytes_;
  std::string buffer_;
  std::size_t used_ = 0;
};

}  // namespace fakeapi::envd
