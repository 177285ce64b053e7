#include "fakeapi/envd/byte_ranges.h"

#include <algorithm>
#include <charconv>

namespace fakeapi::envd {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

enum class Verdict { kGood, kUnsatisfiable, kMalformed };

Verdict parse_one(std::string_view text, std::uint64_t size, ByteRange& range) {
  auto dash = text.find('-');
  if (dash == std::string_view::npos) return Verdict::kMalformed;
  std::string_view first = trim(text.substr(0, dash));
  std::string_view last = trim(text.substr(dash + 1));
  if (first.empty()) {
    auto suffix = number(last);
    if (!suffix) return Verdict::kMalformed;
    range.length = std::min(*suffix, size);
    range.start = size - range.length;
    return range.length > 0 ? Verdict::kGood : Verdict::kUnsatisfiable;
  }
  auto start = number(first);
  if (!start) return Verdict::kMalformed;
  std::uint64_t end = size == 0 ? 0 : size - 1;
  if (!last.empty()) {
    auto given = number(last);
    if (!given || *given < *start) return Verdict::kMalformed;
    end = std::min(*given, end);
  }
  if (*start >= size) return Verdict::kUnsatisfiable;
  range.start = *start;
  range.length = end - *start + 1;
  return Verdict::kGood;
}

}  // namespace

std::optional<std::vector<ByteRange>> parse_ranges(std::string_view header, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return std::nullopt;
  header.remove_prefix(kUnit.size());
  std::vector<ByteRange> ranges;
  while (!header.empty()) {
    auto comma = header.find(',');
    std::string_view item = trim(header.substr(0, comma));
    header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
    if (item.empty()) continue;
    ByteRange range;
    Verdict verdict = parse_one(item, size, range);
    if (verdict == Verdict::kMalformed) return std::nullopt;
    if (verdict == Verdict::kGood) ranges.push_back(range);
  }
  return ranges;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.start) + "-" +
         std::to_string(range.start + range.length - 1) + "/" + std::to_string(size);
}

}  // namespace fakeapi::envd
