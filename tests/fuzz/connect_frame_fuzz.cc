// Envelopes of Connect streams: what arrives in any pieces is cut in the same way.
#include "fakeapi/http/connect_frame.h"
#include "tests/fuzz/target.h"

namespace {

using fakeapi::http::Frame;
using fakeapi::http::FrameReader;
using tests::fuzz::require;

constexpr std::size_t kLimit = 4096;

struct Cut {
  std::string frames;  // written out again
  bool failed = false;
  bool incomplete = false;
};

void drain(FrameReader& reader, Cut& cut) {
  while (!cut.failed) {
    auto frame = reader.next();
    if (!frame) {
      cut.failed = true;
      break;
    }
    if (!*frame) break;
    require((*frame)->payload.size() <= kLimit, "a payload is within the limit");
    fakeapi::http::append_frame(cut.frames, (*frame)->flags, (*frame)->payload);
  }
  cut.incomplete = reader.incomplete();
}

}  // namespace

FUZZ_TARGET(connect_frame) {
  tests::fuzz::Input in(input);
  std::uint8_t seed = in.byte();
  Cut whole;
  FrameReader at_once(kLimit);
  at_once.feed(in.rest());
  drain(at_once, whole);
  require(in.rest().starts_with(whole.frames), "envelopes are the stream's own bytes");
  require(whole.failed || whole.incomplete == (whole.frames.size() < in.rest().size()),
          "only an unfinished envelope is left over");

  Cut pieces;
  FrameReader piecewise(kLimit);
  tests::fuzz::in_pieces(in.rest(), seed, [&](std::string_view piece) {
    piecewise.feed(piece);
    drain(piecewise, pieces);
  });
  require(pieces.frames == whole.frames && pieces.failed == whole.failed,
          "pieces do not change the envelopes");

  if (auto timeout = fakeapi::http::parse_connect_timeout(in.rest())) {
    require(timeout->count() >= 0 && timeout->count() <= 9999999999, "a timeout has ten digits");
  }
}
