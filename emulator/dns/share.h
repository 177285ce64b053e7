// How much of the DNS server one client may use, and all together: a flood from one sandbox must
// not keep the others' questions from being answered. Used by Listener.
#pragma once

#include <cstddef>
#include <map>

#include <boost/asio/ip/address.hpp>

namespace emulator::dns {

class Share {
 public:
  Share(std::size_t all, std::size_t per_client) : all_(all), per_client_(per_client) {}
  // False: it has no share any more. Every take that is true needs its give_back.
  bool take(const boost::asio::ip::address& client) {
    if (taken_ >= all_) return false;
    std::size_t& own = by_client_[client];
    if (own >= per_client_) return false;
    ++own;
    ++taken_;
    return true;
  }
  void give_back(const boost::asio::ip::address& client) {
    auto found = by_client_.find(client);
    if (found == by_client_.end()) return;
    --taken_;
    if (--found->second == 0) by_client_.erase(found);
  }

 private:
  std::size_t all_;
  std::size_t per_client_;
  std::size_t taken_ = 0;
  std::map<boost::asio::ip::address, std::size_t> by_client_;
};

}  // namespace emulator::dns
