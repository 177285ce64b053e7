// multipart/form-data: the parts are the same in whatever pieces the body arrives.
#include "fakeapi/envd/multipart.h"
#include "tests/fuzz/target.h"

namespace {

using fakeapi::envd::MultipartParser;
using tests::fuzz::require;
using Event = MultipartParser::Event;

// Everything that a parser said, with the pieces of a part's data joined.
struct Transcript {
  std::string text;
  std::size_t data = 0;
  bool over = false;

  void read(MultipartParser& parser) {
    while (!over) {
      switch (parser.next()) {
        case Event::kNeedMore:
          return;
        case Event::kPart:
          text += "\x01" + parser.part().name + "\x02" + parser.part().filename.value_or("\x03");
          text += "\x04";
          break;
        case Event::kData:
          require(!parser.data().empty(), "data is never empty");
          data += parser.data().size();
          text += parser.data();
          break;
        case Event::kPartEnd:
          text += "\x05";
          break;
        case Event::kEnd:
          text += "\x06";
          over = true;
          break;
        case Event::kMalformed:
          text += "\x07";
          over = true;
          break;
      }
    }
  }
};

}  // namespace

// Byte 0: sizes of the pieces; the first line: Content-Type; then the body.
FUZZ_TARGET(multipart) {
  tests::fuzz::Input in(input);
  std::uint8_t seed = in.byte();
  std::string_view type = in.line();
  (void)fakeapi::envd::parse_disposition(type);
  std::string boundary = fakeapi::envd::boundary_of(type).value_or("x");
  std::string_view body = in.rest();

  Transcript whole;
  MultipartParser at_once(boundary);
  at_once.feed(body);
  at_once.finish();
  whole.read(at_once);
  require(whole.over, "a finished body has an end");
  require(whole.data <= body.size(), "no more data than was sent");

  Transcript pieces;
  MultipartParser piecewise(boundary);
  tests::fuzz::in_pieces(body, seed, [&](std::string_view piece) {
    piecewise.feed(piece);
    pieces.read(piecewise);
  });
  piecewise.finish();
  pieces.read(piecewise);
  // A head of 32 KiB and more may be refused as soon as it is too long, or when it is complete.
  require(body.size() > 16384 || pieces.text == whole.text, "pieces do not change the parts");
}
