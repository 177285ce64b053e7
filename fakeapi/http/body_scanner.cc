// The end of a body, found without changing it: RFC 9112 section 6 and 7.1.
#include "fakeapi/http/connection.h"

namespace fakeapi::http {

BodyScanner::BodyScanner(BodyFraming framing) : framing_(framing) {
  switch (framing.kind) {
    case BodyFraming::Kind::kNone:
      done_ = true;
      break;
    case BodyFraming::Kind::kLength:
      left_ = framing.length;
      done_ = left_ == 0;
      break;
    case BodyFraming::Kind::kChunked:
    case BodyFraming::Kind::kUntilClose:
      done_ = false;
      break;
  }
}

void BodyScanner::skip_unseen(std::uint64_t count) {
  if (framing_.kind != BodyFraming::Kind::kLength) return;
  left_ -= count < left_ ? count : left_;
  done_ = left_ == 0;
}

void BodyScanner::end_of_stream() {
  if (until_close()) done_ = true;
}

namespace {

int chunk_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

BodyScanner::Step BodyScanner::next(std::string_view bytes) {
  Step step;
  if (done_ || bytes.empty()) return step;
  if (framing_.kind != BodyFraming::Kind::kChunked) {
    step.consumed = bytes.size();
    if (framing_.kind == BodyFraming::Kind::kLength) {
      if (left_ < step.consumed) step.consumed = static_cast<std::size_t>(left_);
      left_ -= step.consumed;
      done_ = left_ == 0;
    }
    step.payload_size = step.consumed;
    return step;
  }
  auto bad = [&step] {
    step.malformed = true;
    return step;
  };
  for (std::size_t i = 0; i < bytes.size();) {
    char c = bytes[i];
    switch (state_) {
      case State::kSize: {
        int digit = chunk_digit(c);
        if (digit >= 0) {
          if (++digits_ > 15) return bad();
          left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        } else if (digits_ == 0) {
          return bad();
        } else if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (c == ';' || c == ' ' || c == '\t') {
          state_ = State::kExtension;
        } else {
          return bad();
        }
        ++i;
        break;
      }
      case State::kExtension:
        if (c == '\n') return bad();
        if (c == '\r') state_ = State::kSizeLf;
        ++i;
        break;
      case State::kSizeLf:
        if (c != '\n') return bad();
        ++i;
        digits_ = 0;
        state_ = left_ == 0 ? State::kTrailerStart : State::kData;
        break;
      case State::kData: {
        auto available = static_cast<std::uint64_t>(bytes.size() - i);
        auto size = static_cast<std::size_t>(left_ < available ? left_ : available);
        step.payload_at = i;
        step.payload_size = size;
        left_ -= size;
        if (left_ == 0) state_ = State::kDataCr;
        step.consumed = i + size;
        return step;
      }
      case State::kDataCr:
        if (c != '\r') return bad();
        state_ = State::kDataLf;
        ++i;
        break;
      case State::kDataLf:
        if (c != '\n') return bad();
        state_ = State::kSize;
        ++i;
        break;
      case State::kTrailerStart:
        state_ = c == '\r' ? State::kFinalLf : State::kTrailer;
        ++i;
        break;
      case State::kTrailer:
        if (c == '\r') state_ = State::kTrailerLf;
        ++i;
        break;
      case State::kTrailerLf:
        if (c != '\n') return bad();
        state_ = State::kTrailerStart;
        ++i;
        break;
      case State::kFinalLf:
        if (c != '\n') return bad();
        done_ = true;
        step.consumed = i + 1;
        return step;
    }
  }
  step.consumed = bytes.size();
  return step;
}

std::optional<std::size_t> BodyScanner::skip(std::string_view bytes) {
  std::size_t total = 0;
  while (!done_ && total < bytes.size()) {
    Step step = next(bytes.substr(total));
    if (step.malformed) return std::nullopt;
    total += step.consumed;
  }
  return total;
}

}  // namespace fakeapi::http
