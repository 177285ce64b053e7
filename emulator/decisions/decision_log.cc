#include "emulator/decisions/decision_log.h"

#include <boost/asio/this_coro.hpp>

#include "emulator/base/async.h"

namespace emulator::decisions {

namespace {

using netfilter::egress::FlowClass;

constexpr netfilter::Ipv4 kNameserver = {8, 8, 8, 8};
constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kChangesPerRecord = 2;

Kind kind_of(FlowClass flow) {
  switch (flow) {
    case FlowClass::kHttp:
      return Kind::kHttp;
    case FlowClass::kTls:
      return Kind::kTls;
    case FlowClass::kOther:
      break;
  }
  return Kind::kOther;
}

}  // namespace

DecisionLog::DecisionLog(boost::asio::any_io_executor executor,
                         const base::Clock& clock,
                         std::size_t capacity)
    : executor_(std::move(executor)), clock_(clock), capacity_(capacity) {}

// The slot of the next record, which keeps the memory of the strings that were there.
Record& DecisionLog::add(const std::string& sandbox, const netfilter::Decision& decision) {
  std::size_t index = (next_ - 1) % capacity_;
  if (index == records_.size()) records_.emplace_back();
  if (next_ - first_ == capacity_) {
    ++first_;
    ++forgotten_;
  }
  Record& record = records_[index];
  record.number = next_++;
  record.time = clock_.now();
  record.sandbox = sandbox;
  record.name.clear();
  record.allowed = decision.allowed;
  record.match = decision.match;
  record.rule = decision.rule;
  record.dialled.reset();
  record.sent = record.received = 0;
  record.closed.reset();
  record.since = std::chrono::steady_clock::now();
  record.lasted = {};
  record.dns_type.reset();
  return record;
}

void DecisionLog::changed(std::uint64_t number, bool end) {
  std::size_t room = capacity_ * kChangesPerRecord;
  std::size_t index = next_change_ % room;
  if (index == changes_.size()) changes_.emplace_back();
  changes_[index] = {number, end};
  ++next_change_;
  if (next_change_ - first_change_ > room) ++first_change_;
  for (Follower* follower : followers_) {
    if (std::exchange(follower->waiting_, false)) follower->wake_.cancel();
  }
}

void DecisionLog::judged(const netfilter::egress::FlowEvent& event) {
  if (capacity_ == 0) return;
  Record& record = add(event.flow.sandbox.id, event.decision);
  record.kind = kind_of(event.flow.kind);
  record.address = event.flow.address;
  record.port = event.flow.port;
  record.name = event.flow.name;
  event.mark = record.number;
  changed(record.number, false);
}

void DecisionLog::ended(const netfilter::egress::FlowEnd& end) {
  if (!keeps(end.mark)) return;
  Record& record = records_[(end.mark - 1) % capacity_];
  record.dialled = end.dialled;
  record.sent = end.sent;
  record.received = end.received;
  record.closed = end.reason;
  record.lasted = std::chrono::steady_clock::now() - record.since;
  changed(record.number, true);
}

void DecisionLog::asked(const std::string& sandbox,
                        const netfilter::Decision& decision,
                        const dns::QuestionEvent& event) {
  if (capacity_ == 0) return;
  Record& record = add(sandbox, decision);
  record.kind = event.transport == dns::Transport::kUdp ? Kind::kUdp : Kind::kOther;
  record.address = kNameserver;
  record.port = kDnsPort;
  record.name = event.question.name;
  record.dns_type = event.question.type;
  record.dns_rcode = static_cast<std::uint8_t>(event.rcode);
  record.closed = netfilter::egress::CloseReason::kEnded;
  changed(record.number, true);
}

std::size_t DecisionLog::clear() {
  std::size_t count = size();
  first_ = cleared_ = next_;
  forgotten_ = 0;
  return count;
}

DecisionLog::Follower::Follower(DecisionLog& log)
    : log_(log), position_(log.first_change_), wake_(log.executor_) {
  // What the ring has forgotten already was not missed.
  std::size_t room = log_.capacity_ * kChangesPerRecord;
  while (position_ < log_.next_change_ && !log_.keeps(log_.changes_[position_ % room].number)) {
    ++position_;
  }
  self_ = log_.followers_.insert(log_.followers_.end(), this);
}

DecisionLog::Follower::~Follower() {
  log_.followers_.erase(self_);
}

const Record* DecisionLog::Follower::next() {
  if (position_ < log_.first_change_) {
    missed_ += log_.first_change_ - position_;
    position_ = log_.first_change_;
  }
  while (position_ < log_.next_change_) {
    Change change = log_.changes_[position_++ % (log_.capacity_ * kChangesPerRecord)];
    if (!log_.keeps(change.number)) {
      // Cleared by somebody, or written over.
      if (change.number >= log_.cleared_) ++missed_;
      continue;
    }
    const Record& record = log_.at(change.number);
    // Its end comes later in the row, and says it all.
    if (!change.end && record.closed) continue;
    return &record;
  }
  return nullptr;
}

boost::asio::awaitable<bool> DecisionLog::Follower::wait() {
  if (position_ != log_.next_change_) co_return true;
  waiting_ = true;
  wake_.expires_at(boost::asio::steady_timer::time_point::max());
  (void)co_await wake_.async_wait(base::kUse);
  waiting_ = false;
  auto state = co_await boost::asio::this_coro::cancellation_state;
  co_return state.cancelled() == boost::asio::cancellation_type::none;
}

}  // namespace emulator::decisions
