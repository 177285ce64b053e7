// A failure that somebody asked for, and who knows of them. Asked by the front door for every
// request that is not for the control API; implemented by emulator/faults. Costs one comparison
// while no rule is in force.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace emulator::proxy {

struct Fault {
  enum class Cut { kNone, kRequest, kResponse };
  std::string rule;  // its id, for the journal
  std::chrono::milliseconds latency{};
  int status = 0;  // 0: the request goes where it should
  std::string body;
  // kRequest: the connection is reset and nobody gets the request. kResponse: it is done, and the
  // connection is reset in place of the answer.
  Cut cut = Cut::kNone;
};

// Views into the request.
struct FaultQuestion {
  std::string_view method;
  std::string_view path;     // without the query
  std::string_view sandbox;  // "" for the cloud's API: its path names one or not
  std::uint64_t port = 0;    // of the sandbox
};

class FaultSource {
 public:
  virtual ~FaultSource() = default;
  bool armed() const { return armed_; }
  // What shall happen to this request; counts as having happened.
  virtual std::optional<Fault> take(const FaultQuestion& question) = 0;

 protected:
  bool armed_ = false;
};

}  // namespace emulator::proxy
