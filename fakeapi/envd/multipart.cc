#include "fakeapi/envd/multipart.h"

#include <algorithm>

#include "fakeapi/http/message.h"

namespace fakeapi::envd {

namespace {

constexpr std::size_t kHeadLimit = 32U << 10U;

bool is_special(char c) {
  return std::string_view("()<>@,;:\\\"/[]?=").find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes one parameter value off the front of `text`.
std::string take_value(std::string_view& text) {
  std::string value;
  if (text.empty() || text.front() != '"') {
    std::string_view token = text.substr(0, text.find(';'));
    text.remove_prefix(token.size());
    return std::string(trim(token));
  }
  std::size_t at = 1;
  while (at < text.size() && text[at] != '"') {
    if (text[at] == '\\' && at + 1 < text.size() && is_special(text[at + 1])) ++at;
    value.push_back(text[at++]);
  }
  text.remove_prefix(std::min(text.size(), at + 1));
  return value;
}

// Calls visit(name, value, quoted) for every parameter after the first ';'.
template <class Visit>
void for_each_parameter(std::string_view text, Visit visit) {
  auto start = text.find(';');
  if (start == std::string_view::npos) return;
  text.remove_prefix(start);
  while (!text.empty()) {
    if (text.front() == ';' || text.front() == ' ' || text.front() == '\t') {
      text.remove_prefix(1);
      continue;
    }
    auto end = text.find_first_of("=;");
    std::string_view name = trim(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end);
    if (text.front() == ';') continue;
    text.remove_prefix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    visit(name, take_value(text));
    auto next = text.find(';');
    text.remove_prefix(std::min(text.size(), next));
  }
}

std::string unescape(std::string text) {
  constexpr std::pair<std::string_view, char> kEscapes[] = {
      {"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}};
  for (auto [escape, character] : kEscapes) {
    for (std::size_t at = 0; (at = text.find(escape, at)) != std::string::npos; ++at) {
      text.replace(at, escape.size(), 1, character);
    }
  }
  return text;
}

// RFC 5987: charset'language'percent-encoded; only UTF-8 is in use.
std::string extended_value(std::string_view text) {
  auto quote = text.find('\'');
  if (quote == std::string_view::npos) return std::string(text);
  quote = text.find('\'', quote + 1);
  if (quote == std::string_view::npos) return std::string(text);
  return http::percent_decode(text.substr(quote + 1));
}

}  // namespace

PartHead parse_disposition(std::string_view value) {
  PartHead head;
  std::optional<std::string> extended;
  for_each_parameter(value, [&](std::string_view name, std::string text) {
    if (http::iequals(name, "name"))
      head.name = unescape(std::move(text));
    else if (http::iequals(name, "filename"))
      head.filename = unescape(std::move(text));
    else if (http::iequals(name, "filename*"))
      extended = extended_value(text);
  });
  if (extended) head.filename = std::move(extended);
  return head;
}

std::optional<std::string> boundary_of(std::string_view content_type) {
  std::optional<std::string> boundary;
  for_each_parameter(content_type, [&](std::string_view name, std::string text) {
    if (http::iequals(name, "boundary") && !text.empty()) boundary = std::move(text);
  });
  return boundary;
}

MultipartParser::MultipartParser(std::string_view boundary) : delimiter_("\r\n--") {
  delimiter_.append(boundary);
  // The first boundary has no line end before it: pretend there was one.
  buffer_ = "\r\n";
}

void MultipartParser::feed(std::string_view bytes) {
  if (state_ == State::kEnd) return;
  consume(pending_);
  pending_ = 0;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_.append(bytes);
}

void MultipartParser::consume(std::size_t count) {
  begin_ += count;
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
  }
}

std::size_t MultipartParser::find_delimiter(std::size_t& undecided) const {
  std::string_view text = rest();
  std::size_t from = 0;
  for (;;) {
    std::size_t at = text.find(delimiter_, from);
    if (at == std::string_view::npos) {
      // A beginning of one may be at the very end.
      undecided = text.size() - std::min(text.size(), delimiter_.size());
      while (undecided < text.size() &&
             !std::string_view(delimiter_).starts_with(text.substr(undecided))) {
        ++undecided;
      }
      return at;
    }
    std::size_t after = at + delimiter_.size();
    if (after == text.size()) {
      undecided = at;
      return std::string_view::npos;
    }
    char next = text[after];
    if (next == '-' || next == '\r' || next == ' ' || next == '\t') return at;
    from = at + 1;  // the boundary is only a prefix of this line: data
  }
}

MultipartParser::Event MultipartParser::scan_body() {
  std::size_t undecided = 0;
  std::size_t at = find_delimiter(undecided);
  std::size_t data = at == std::string_view::npos ? undecided : at;
  if (data > 0) {
    data_ = rest().substr(0, data);
    pending_ = data;
    return Event::kData;
  }
  if (at == std::string_view::npos) return need_more();
  consume(delimiter_.size());
  state_ = State::kDelimiter;
  return Event::kPartEnd;
}

MultipartParser::Event MultipartParser::scan_headers() {
  std::string_view text = rest();
  std::size_t end = 0;
  std::size_t after = 2;
  if (!text.starts_with("\r\n")) {
    end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      return text.size() > kHeadLimit ? Event::kMalformed : need_more();
    }
    after = end + 4;
  }
  part_ = PartHead();
  std::string_view head = text.substr(0, end);
  while (!head.empty()) {
    std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    auto colon = line.find(':');
    if (colon == std::string_view::npos) return Event::kMalformed;
    if (http::iequals(trim(line.substr(0, colon)), "Content-Disposition")) {
      part_ = parse_disposition(trim(line.substr(colon + 1)));
    }
  }
  consume(after);
  state_ = State::kBody;
  return Event::kPart;
}

MultipartParser::Event MultipartParser::next() {
  consume(pending_);
  pending_ = 0;
  for (;;) {
    switch (state_) {
      case State::kPreamble: {
        std::size_t undecided = 0;
        std::size_t at = find_delimiter(undecided);
        if (at == std::string_view::npos) {
          consume(undecided);
          return need_more();
        }
        consume(at + delimiter_.size());
        state_ = State::kDelimiter;
        break;
      }
      case State::kDelimiter: {
        std::string_view text = rest();
        if (text.starts_with("--")) {
          state_ = State::kEnd;
          return Event::kEnd;
        }
        std::size_t line = text.find("\r\n");
        if (line == std::string_view::npos) {
          return text.size() > kHeadLimit ? Event::kMalformed : need_more();
        }
        if (!trim(text.substr(0, line)).empty()) return Event::kMalformed;
        consume(line + 2);
        state_ = State::kHeaders;
        break;
      }
      case State::kHeaders:
        return scan_headers();
      case State::kBody:
        return scan_body();
      case State::kEnd:
        return Event::kEnd;
    }
  }
}

}  // namespace fakeapi::envd
