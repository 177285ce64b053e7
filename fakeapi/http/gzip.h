// gzip as a stream in both directions, on zlib. Pure: bytes in, bytes out. Used for request bodies,
// downloads and Connect messages. Does not know HTTP.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "emulator/base/result.h"

namespace fakeapi::http {

// Inflates a gzip stream (concatenated members too) piece by piece.
class GzipReader {
 public:
  GzipReader();
  GzipReader(GzipReader&&) noexcept;
  ~GzipReader();
  // Appends what `bytes` inflate to; kInvalidArgument when they are not gzip, kTooLarge when `out`
  // would grow over `limit` bytes.
  base::Result<> read(std::string_view bytes,
                      std::string& out,
                      std::size_t limit = std::string::npos);
  // True at a clean end of the stream.
  bool complete() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Deflates into a gzip stream, fastest level: this runs on the sandbox's own processor time.
class GzipWriter {
 public:
  GzipWriter();
  ~GzipWriter();
  void write(std::string_view bytes, std::string& out);
  void finish(std::string& out);

 private:
  void run(std::string_view bytes, int flush, std::string& out);
  struct State;
  std::unique_ptr<State> state_;
};

// A whole gzip'ed message, at most `limit` bytes inflated.
base::Result<std::string> gunzip(std::string_view bytes, std::size_t limit);

}  // namespace fakeapi::http
