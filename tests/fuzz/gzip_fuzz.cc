// gzip bodies: the same bytes and the same verdict in whatever pieces they arrive; never over the
// limit by more than one piece.
#include "fakeapi/http/gzip.h"
#include "tests/fuzz/target.h"

namespace {

using fakeapi::http::GzipReader;
using fakeapi::http::GzipWriter;
using tests::fuzz::require;

constexpr std::size_t kLimit = 128U << 10U;
constexpr std::size_t kSlack = 65536;

}  // namespace

FUZZ_TARGET(gzip) {
  tests::fuzz::Input in(input);
  std::uint8_t seed = in.byte();

  GzipReader at_once;
  std::string whole;
  bool good = at_once.read(in.rest(), whole, kLimit).has_value();
  require(whole.size() <= kLimit + kSlack, "inflating stops at the limit");

  GzipReader piecewise;
  std::string pieces;
  bool good_in_pieces = true;
  tests::fuzz::in_pieces(in.rest(), seed, [&](std::string_view piece) {
    if (good_in_pieces) good_in_pieces = piecewise.read(piece, pieces, kLimit).has_value();
  });
  require(good == good_in_pieces, "pieces do not change the verdict");
  require(!good || (pieces == whole && at_once.complete() == piecewise.complete()),
          "pieces do not change the bytes");

  GzipWriter writer;
  std::string packed;
  tests::fuzz::in_pieces(in.rest(), seed,
                         [&](std::string_view piece) { writer.write(piece, packed); });
  writer.finish(packed);
  auto back = fakeapi::http::gunzip(packed, kLimit);
  require(back && *back == in.rest(), "what we pack unpacks");
}
