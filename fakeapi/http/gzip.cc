#include "fakeapi/http/gzip.h"

#include <array>

#include <zlib.h>

namespace fakeapi::http {

using base::Errc;

namespace {

constexpr std::size_t kPiece = 65536;
using Piece = std::array<char, kPiece>;
constexpr int kGzipWindow = 15 + 16;  // zlib: 16 selects the gzip wrapper

Bytef* input(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

}  // namespace

struct GzipReader::State {
  z_stream stream{};
  bool complete = false;
  bool usable = false;
};

GzipReader::GzipReader() : state_(std::make_unique<State>()) {
  state_->usable = inflateInit2(&state_->stream, kGzipWindow) == Z_OK;
}

GzipReader::GzipReader(GzipReader&&) noexcept = default;

GzipReader::~GzipReader() {
  if (state_ && state_->usable) inflateEnd(&state_->stream);
}

base::Result<> GzipReader::read(std::string_view bytes, std::string& out, std::size_t limit) {
  if (!state_->usable) return base::fail(Errc::kInternal, "zlib is not usable");
  z_stream& stream = state_->stream;
  stream.next_in = input(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  Piece piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): zlib fills it
  while (stream.avail_in > 0) {
    if (state_->complete) {
      if (inflateReset(&stream) != Z_OK) return base::fail(Errc::kInternal, "zlib is not usable");
      state_->complete = false;
    }
    for (;;) {
      stream.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream.avail_out = static_cast<uInt>(kPiece);
      int status = inflate(&stream, Z_NO_FLUSH);
      out.append(piece.data(), kPiece - stream.avail_out);
      if (out.size() > limit) return base::fail(Errc::kTooLarge, "decompressed body is too large");
      if (status == Z_STREAM_END) {
        state_->complete = true;
        break;
      }
      if (status == Z_BUF_ERROR) break;
      if (status != Z_OK) return base::fail(Errc::kInvalidArgument, "gzip: invalid data");
      if (stream.avail_out > 0) break;
    }
  }
  return {};
}

bool GzipReader::complete() const {
  return state_->complete;
}

struct GzipWriter::State {
  z_stream stream{};
  bool usable = false;
};

GzipWriter::GzipWriter() : state_(std::make_unique<State>()) {
  state_->usable = deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8,
                                Z_DEFAULT_STRATEGY) == Z_OK;
}

GzipWriter::~GzipWriter() {
  if (state_->usable) deflateEnd(&state_->stream);
}

void GzipWriter::write(std::string_view bytes, std::string& out) {
  run(bytes, Z_NO_FLUSH, out);
}
void GzipWriter::finish(std::string& out) {
  run({}, Z_FINISH, out);
}

void GzipWriter::run(std::string_view bytes, int flush, std::string& out) {
  if (!state_->usable) return;
  z_stream& stream = state_->stream;
  stream.next_in = input(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  Piece piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): zlib fills it
  do {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(kPiece);
    deflate(&stream, flush);
    out.append(piece.data(), kPiece - stream.avail_out);
  } while (stream.avail_out == 0);
}

base::Result<std::string> gunzip(std::string_view bytes, std::size_t limit) {
  GzipReader reader;
  std::string out;
  SANDLOT_CHECK(reader.read(bytes, out, limit));
  if (!reader.complete()) return base::fail(Errc::kInvalidArgument, "gzip: unexpected end of data");
  return out;
}

}  // namespace fakeapi::http
