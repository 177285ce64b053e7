// multipart/form-data as a stream: bytes go in, parts come out, no part is ever held whole (RFC
// 7578, contract-envd 1.7). Pure. Used by uploads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fakeapi::envd {

struct PartHead {
  std::string name;
  std::optional<std::string> filename;  // the full path as sent, unescaped
};

// A value of Content-Disposition. Quoted strings unescape "\x" for specials only, and the three
// sequences browsers write (%22, %0D, %0A); nothing else is percent-decoded (contract-novita 4.4).
// filename* wins over filename.
PartHead parse_disposition(std::string_view value);

// The boundary parameter of a multipart/* content type; nullopt when there is none.
std::optional<std::string> boundary_of(std::string_view content_type);

class MultipartParser {
 public:
  explicit MultipartParser(std::string_view boundary);

  enum class Event {
    kNeedMore,  // feed(), or finish() at the end of the body
    kPart,      // part() has its head
    kData,      // data() is the next piece of it, valid until the next call
    kPartEnd,
    kEnd,  // the closing boundary; what follows is ignored
    kMalformed,
  };
  void feed(std::string_view bytes);
  // The body has ended: an unfinished message becomes kMalformed.
  void finish() { finished_ = true; }
  Event next();
  const PartHead& part() const { return part_; }
  std::string_view data() const { return data_; }

 private:
  enum class State { kPreamble, kDelimiter, kHeaders, kBody, kEnd };
  Event need_more() const { return finished_ ? Event::kMalformed : Event::kNeedMore; }
  Event scan_body();
  Event scan_headers();
  void consume(std::size_t count);
  std::string_view rest() const { return std::string_view(buffer_).substr(begin_); }
  // Position of the next real delimiter line; npos when there is none yet. `undecided`: one may
  // start there.
  std::size_t find_delimiter(std::size_t& undecided) const;

  std::string delimiter_;  // "\r\n--boundary"
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t pending_ = 0;  // bytes of data() to consume at the next call
  State state_ = State::kPreamble;
  PartHead part_;
  std::string_view data_;
  bool finished_ = false;
};

}  // namespace fakeapi::envd
