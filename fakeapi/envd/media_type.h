// Content types of downloads: by extension, else by the first bytes (contract-envd 1.6). Pure.
#pragma once

#include <string_view>

namespace fakeapi::envd {

// "" when the extension says nothing.
std::string_view media_type_by_name(std::string_view file_name);
// From up to 512 bytes: a magic number, text/plain, or application/octet-stream.
std::string_view sniff_media_type(std::string_view bytes);

}  // namespace fakeapi::envd
