// What libFuzzer calls: hands its input to the one target of this program.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/target.h"

namespace tests::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

void violated(const char* property) {
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

}  // namespace tests::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::Target target = tests::fuzz::targets().front();
  // A copy of exactly this size, so that the sanitizer sees a read past the end.
  std::string input(reinterpret_cast<const char*>(data), size);
  input.shrink_to_fit();
  target.run(input);
  return 0;
}
