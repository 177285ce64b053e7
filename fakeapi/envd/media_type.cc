#include "fakeapi/envd/media_type.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fakeapi/http/message.h"

namespace fakeapi::envd {

namespace {

using Entry = std::pair<std::string_view, std::string_view>;

constexpr std::array kByExtension = {
    Entry{".avif", "image/avif"},
    Entry{".css", "text/css; charset=utf-8"},
    Entry{".csv", "text/csv; charset=utf-8"},
    Entry{".gif", "image/gif"},
    Entry{".gz", "application/gzip"},
    Entry{".htm", "text/html; charset=utf-8"},
    Entry{".html", "text/html; charset=utf-8"},
    Entry{".ico", "image/vnd.microsoft.icon"},
    Entry{".jpeg", "image/jpeg"},
    Entry{".jpg", "image/jpeg"},
    Entry{".js", "text/javascript; charset=utf-8"},
    Entry{".json", "application/json"},
    Entry{".md", "text/markdown; charset=utf-8"},
    Entry{".mjs", "text/javascript; charset=utf-8"},
    Entry{".mp3", "audio/mpeg"},
    Entry{".mp4", "video/mp4"},
    Entry{".pdf", "application/pdf"},
    Entry{".png", "image/png"},
    Entry{".py", "text/x-python; charset=utf-8"},
    Entry{".sh", "application/x-sh"},
    Entry{".svg", "image/svg+xml"},
    Entry{".tar", "application/x-tar"},
    Entry{".txt", "text/plain; charset=utf-8"},
    Entry{".wasm", "application/wasm"},
    Entry{".webp", "image/webp"},
    Entry{".xml", "text/xml; charset=utf-8"},
    Entry{".zip", "application/zip"},
};

constexpr std::array kByMagic = {
    Entry{"%PDF-", "application/pdf"},
    Entry{"%!PS-Adobe-", "application/postscript"},
    Entry{"\x89PNG\r\n\x1a\n", "image/png"},
    Entry{"GIF87a", "image/gif"},
    Entry{"GIF89a", "image/gif"},
    Entry{"\xFF\xD8\xFF", "image/jpeg"},
    Entry{"\x1F\x8B\x08", "application/x-gzip"},
    Entry{"PK\x03\x04", "application/zip"},
    Entry{"Rar!\x1a\x07", "application/x-rar-compressed"},
    Entry{"OggS\x00", "application/ogg"},
    Entry{"ID3", "audio/mpeg"},
    Entry{"\xEF\xBB\xBF", "text/plain; charset=utf-8"},
    Entry{"<?xml", "text/xml; charset=utf-8"},
};

constexpr std::array kHtml = {std::string_view("<!DOCTYPE HTML"), std::string_view("<HTML"),
                              std::string_view("<HEAD"),          std::string_view("<SCRIPT"),
                              std::string_view("<BODY"),          std::string_view("<!--")};

bool is_binary(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte <= 0x08 || byte == 0x0B || (byte >= 0x0E && byte <= 0x1A) ||
         (byte >= 0x1C && byte <= 0x1F);
}

}  // namespace

std::string_view media_type_by_name(std::string_view file_name) {
  auto dot = file_name.rfind('.');
  if (dot == std::string_view::npos) return "";
  for (auto [extension, type] : kByExtension) {
    if (http::iequals(extension, file_name.substr(dot))) return type;
  }
  return "";
}

std::string_view sniff_media_type(std::string_view bytes) {
  bytes = bytes.substr(0, 512);
  for (auto [magic, type] : kByMagic) {
    if (bytes.starts_with(magic)) return type;
  }
  std::string_view text = bytes;
  while (!text.empty() &&
         std::string_view("\t\n\x0c\r ").find(text.front()) != std::string_view::npos) {
    text.remove_prefix(1);
  }
  for (std::string_view tag : kHtml) {
    bool same = http::iequals(text.substr(0, tag.size()), tag);
    char after = text.size() > tag.size() ? text[tag.size()] : ' ';
    if (same && (tag == "<!--" || after == ' ' || after == '>')) return "text/html; charset=utf-8";
  }
  if (text.starts_with("<?xml")) return "text/xml; charset=utf-8";
  if (std::any_of(bytes.begin(), bytes.end(), is_binary)) return "application/octet-stream";
  return "text/plain; charset=utf-8";
}

}  // namespace fakeapi::envd
