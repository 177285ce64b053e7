// The last decisions about what sandboxes wanted to reach: connections that the egress proxy
// judged, and questions that the DNS forwarder answered, in one bounded ring per emulator. Filled
// by emulator/network_stack, read by control_routes.h. Formats nothing; on one loop, no locks.
//
// Recording is a copy into memory that is already there. Nobody who follows owns a queue: a
// follower is a position, and one that is too slow is told how much it missed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "emulator/base/clock.h"
#include "emulator/dns/forwarder.h"
#include "netfilter/egress/egress_proxy.h"

namespace emulator::decisions {

enum class Kind : std::uint8_t { kHttp, kTls, kOther, kUdp };

struct Record {
  std::uint64_t number = 0;  // of all that were ever recorded, from 1
  base::TimePoint time;      // when it was judged
  std::string sandbox;
  Kind kind = Kind::kOther;
  netfilter::Ipv4 address{};
  std::uint16_t port = 0;
  std::string name;  // SNI, Host, or what DNS was asked for
  bool allowed = false;
  netfilter::MatchType match = netfilter::MatchType::kNone;
  std::string rule;
  std::optional<netfilter::Ipv4> dialled;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  // Not set while the connection lives.
  std::optional<netfilter::egress::CloseReason> closed;
  std::chrono::steady_clock::time_point since;
  std::chrono::steady_clock::duration lasted{0};
  // Questions to the forwarder only.
  std::optional<std::uint16_t> dns_type;
  std::uint8_t dns_rcode = 0;
};

class DecisionLog {
 public:
  // Keeps the last `capacity` records; 0 keeps none. `clock` outlives the log.
  DecisionLog(boost::asio::any_io_executor executor,
              const base::Clock& clock,
              std::size_t capacity);

  void judged(const netfilter::egress::FlowEvent& event);
  void ended(const netfilter::egress::FlowEnd& end);
  void asked(const std::string& sandbox,
             const netfilter::Decision& decision,
             const dns::QuestionEvent& event);

  // From the oldest to the newest that is kept.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::uint64_t number = first_; number < next_; ++number) visit(at(number));
  }
  std::size_t size() const { return next_ - first_; }
  // Records that the ring had no room for any more.
  std::uint64_t forgotten() const { return forgotten_; }
  // Forgets all; how many there were. Followers go on with what comes.
  std::size_t clear();

  // One who reads along. Begins with what is kept. Belongs to one coroutine; the log outlives it.
  class Follower {
   public:
    explicit Follower(DecisionLog& log);
    ~Follower();
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    // The next record that is new or has ended; nullptr: nothing now. A connection that ended
    // before its beginning was read comes once. The pointer is good until the next await.
    const Record* next();
    // How many changes passed unread since the last call.
    std::uint64_t take_missed() { return std::exchange(missed_, 0); }
    // Until there may be something. False: cancelled.
    boost::asio::awaitable<bool> wait();

   private:
    friend class DecisionLog;
    DecisionLog& log_;
    std::uint64_t position_;
    std::uint64_t missed_ = 0;
    bool waiting_ = false;
    boost::asio::steady_timer wake_;
    std::list<Follower*>::iterator self_;
  };

 private:
  // A record began, or ended: what followers walk along.
  struct Change {
    std::uint64_t number = 0;
    bool end = false;
  };

  const Record& at(std::uint64_t number) const { return records_[(number - 1) % capacity_]; }
  bool keeps(std::uint64_t number) const { return number >= first_ && number < next_; }
  Record& add(const std::string& sandbox, const netfilter::Decision& decision);
  void changed(std::uint64_t number, bool end);

  boost::asio::any_io_executor executor_;
  const base::Clock& clock_;
  std::size_t capacity_;
  std::vector<Record> records_;  // grows to capacity_, then is written over
  std::uint64_t first_ = 1;      // the oldest that is kept
  std::uint64_t next_ = 1;
  std::uint64_t forgotten_ = 0;
  std::uint64_t cleared_ = 1;  // what came before this was cleared, not lost
  std::vector<Change> changes_;
  std::uint64_t first_change_ = 0;
  std::uint64_t next_change_ = 0;
  std::list<Follower*> followers_;
};

}  // namespace emulator::decisions
