// The faults in force: which requests they hit, how often, and what happens to those. Asked by the
// front door, changed by the control API (control_routes.h). Deterministic with a seed: each rule
// rolls its own dice.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "emulator/base/result.h"
#include "emulator/proxy/fault.h"

namespace emulator::faults {

// What a request goes to; any when not set.
enum class Surface { kApi, kDaemon, kPublic };

struct Rule {
  std::string id;      // set by add()
  std::string method;  // "" = any; case does not matter
  std::string path;    // "" = any; "*" stands for any run of characters
  std::string sandbox;
  std::optional<Surface> surface;
  double probability = 1;
  std::optional<std::uint64_t> times;  // hits; nullopt = no end
  proxy::Fault effect;
  std::uint64_t hits = 0;
  // Made by a fault of the sandbox, which lists it and removes it (sandbox_faults.h).
  bool of_sandbox_fault = false;

  bool spent() const { return times && hits >= *times; }
};

// Whether `pattern` matches the whole of `text`.
bool matches_glob(std::string_view pattern, std::string_view text);

class FaultRules final : public proxy::FaultSource {
 public:
  static constexpr std::size_t kMostRules = 1000;

  // nullopt: probabilities are rolled differently in each run.
  explicit FaultRules(std::optional<std::uint64_t> seed);

  // "fault-7", for a fault that is no rule; never used again.
  std::string draw_id() { return "fault-" + std::to_string(++made_); }
  // The rule with its id. kResourceExhausted when there are too many.
  base::Result<Rule> add(Rule rule);
  std::vector<Rule> all() const;
  // Of the rule; 0 when there is none.
  std::uint64_t hits(std::string_view id) const;
  // How many were removed.
  std::size_t clear();
  bool remove(std::string_view id);

  // The first rule, in the order of making, that matches and has its luck.
  std::optional<proxy::Fault> take(const proxy::FaultQuestion& question) override;

 private:
  struct Item {
    Rule rule;
    std::mt19937_64 dice;
  };
  static bool matches(const Rule& rule, const proxy::FaultQuestion& question);
  void look() { armed_ = !items_.empty(); }

  std::uint64_t seed_;
  std::uint64_t made_ = 0;
  std::vector<Item> items_;
};

}  // namespace emulator::faults
