#include "fakeapi/envd/utf8_boundary.h"

namespace fakeapi::envd {

std::size_t incomplete_tail(std::string_view bytes) {
  for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0U) == 0x80U) continue;
    std::size_t need = 0;
    if (byte >= 0xC2 && byte < 0xE0) need = 2;
    if (byte >= 0xE0 && byte < 0xF0) need = 3;
    if (byte >= 0xF0 && byte < 0xF5) need = 4;
    return need > back ? back : 0;
  }
  return 0;
}

}  // namespace fakeapi::envd
