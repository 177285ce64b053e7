#include "emulator/faults/fault_rules.h"

#include <algorithm>

#include "emulator/journal/request_journal.h"
#include "fakeapi/http/message.h"

namespace emulator::faults {

using base::Errc;

namespace {

constexpr std::uint64_t kDaemonPort = 49983;

// 53 bits of it, in [0, 1): the same on every machine, unlike std::uniform_real_distribution.
double roll(std::mt19937_64& dice) {
  return static_cast<double>(dice() >> 11U) * 0x1.0p-53;
}

Surface surface_of(const proxy::FaultQuestion& question) {
  if (question.sandbox.empty()) return Surface::kApi;
  return question.port == kDaemonPort ? Surface::kDaemon : Surface::kPublic;
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;  // by the last star
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

FaultRules::FaultRules(std::optional<std::uint64_t> seed)
    : seed_(seed ? *seed : std::random_device()()) {}

base::Result<Rule> FaultRules::add(Rule rule) {
  if (items_.size() >= kMostRules) {
    return base::fail(Errc::kResourceExhausted,
                      "there are " + std::to_string(kMostRules) + " rules already");
  }
  rule.id = draw_id();
  rule.effect.rule = rule.id;
  std::seed_seq sequence{seed_ & 0xffffffffU, seed_ >> 32U, made_};
  items_.push_back({std::move(rule), std::mt19937_64(sequence)});
  look();
  return items_.back().rule;
}

std::vector<Rule> FaultRules::all() const {
  std::vector<Rule> rules;
  for (const Item& item : items_) rules.push_back(item.rule);
  return rules;
}

std::uint64_t FaultRules::hits(std::string_view id) const {
  auto found = std::find_if(items_.begin(), items_.end(),
                            [&](const Item& item) { return item.rule.id == id; });
  return found == items_.end() ? 0 : found->rule.hits;
}

std::size_t FaultRules::clear() {
  std::size_t count = items_.size();
  items_.clear();
  look();
  return count;
}

bool FaultRules::remove(std::string_view id) {
  auto gone = std::erase_if(items_, [&](const Item& item) { return item.rule.id == id; });
  look();
  return gone > 0;
}

bool FaultRules::matches(const Rule& rule, const proxy::FaultQuestion& question) {
  if (rule.spent()) return false;
  if (rule.surface && *rule.surface != surface_of(question)) return false;
  if (!rule.method.empty() && !fakeapi::http::iequals(rule.method, question.method)) return false;
  if (!rule.sandbox.empty()) {
    std::string_view sandbox =
        question.sandbox.empty() ? journal::sandbox_of_path(question.path) : question.sandbox;
    if (rule.sandbox != sandbox) return false;
  }
  return rule.path.empty() || matches_glob(rule.path, question.path);
}

std::optional<proxy::Fault> FaultRules::take(const proxy::FaultQuestion& question) {
  for (Item& item : items_) {
    if (!matches(item.rule, question)) continue;
    if (item.rule.probability < 1 && roll(item.dice) >= item.rule.probability) continue;
    ++item.rule.hits;
    return item.rule.effect;
  }
  return std::nullopt;
}

}  // namespace emulator::faults
