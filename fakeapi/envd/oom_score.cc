#include "fakeapi/envd/oom_score.h"

#include <unistd.h>

#include <array>

namespace fakeapi::envd {

namespace {

constexpr const char* kOfCommands = "100";

}  // namespace

OomScore::OomScore(base::UniqueFd file) : file_(std::move(file)) {
  std::array<char, 16> text{};
  ssize_t count = file_ ? ::pread(file_.get(), text.data(), text.size(), 0) : -1;
  if (count > 0) own_.assign(text.data(), static_cast<std::size_t>(count));
}

// Best effort: a command with the wrong score is better than none.
void OomScore::write(const std::string& value) const {
  if (own_.empty()) return;
  [[maybe_unused]] auto written = ::pwrite(file_.get(), value.data(), value.size(), 0);
}

OomScore::ForCommand::ForCommand(const OomScore& score) : score_(score) {
  score_.write(kOfCommands);
}

OomScore::ForCommand::~ForCommand() {
  score_.write(score_.own_);
}

}  // namespace fakeapi::envd
