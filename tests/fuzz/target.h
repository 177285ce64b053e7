// A fuzz target: one parser, and what must hold whatever bytes it gets. Used by every file of this
// folder; built twice: with libFuzzer (clang, `make fuzz`) and into a test that replays the corpus
// (g++, `make test`). The parsers are plain functions: no coroutine, no I/O.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tests::fuzz {

// A property does not hold: libFuzzer stops and keeps the input, the replay fails.
void violated(const char* property);

inline void require(bool holds, const char* property) {
  if (!holds) violated(property);
}

struct Target {
  const char* name;
  void (*run)(std::string_view input);
};
// The targets of this program: one under libFuzzer, all in the replay.
std::vector<Target>& targets();

struct Registration {
  Registration(const char* name, void (*run)(std::string_view)) {
    targets().push_back({name, run});
  }
};

// Cuts an input into what a target needs. Never fails: what is missing is 0 or empty.
class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // Up to the next line feed, without it.
  std::string_view line() {
    std::string_view text = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(rest_.size(), text.size() + 1));
    return text;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// Calls visit(piece) for every piece of `bytes`; the sizes come from `seed`, 1 to 16 bytes.
template <class Visit>
void in_pieces(std::string_view bytes, std::uint8_t seed, Visit visit) {
  std::uint32_t state = seed;
  while (!bytes.empty()) {
    state = state * 1664525U + 1013904223U;
    std::size_t size = std::min<std::size_t>(bytes.size(), 1 + (state >> 28U));
    visit(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

}  // namespace tests::fuzz

// FUZZ_TARGET(name) { ... `input` is a std::string_view ... }
#define FUZZ_TARGET(name)                                                            \
  static void fuzz_##name(std::string_view input);                                   \
  static const ::tests::fuzz::Registration registration_##name(#name, &fuzz_##name); \
  static void fuzz_##name(std::string_view input)
