#include "emulator/proxy/upstream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace emulator::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Errc;
using base::kUse;

namespace {

// An idle connection lives one to two sweeps. Short on purpose: a single-threaded server that keeps
// connections open serves nobody else until we let go.
constexpr std::chrono::milliseconds kSweep{500};
constexpr std::size_t kMostIdle = 64;
// How long a new connection may go unanswered before idle ones are given up for it.
constexpr std::chrono::milliseconds kPatience{25};
// Of one connect(). A full backlog drops SYNs; the cloud's proxy waits 30 s too
// (contract-network 3.8).
constexpr std::chrono::seconds kConnectLimit{30};

struct Attempt {
  std::shared_ptr<Channel> channel;
  boost::system::error_code error;
};

asio::awaitable<Attempt> connect(asio::any_io_executor executor,
                                 base::UniqueFd fd,
                                 asio::ip::address address,
                                 std::uint16_t port) {
  Attempt attempt;
  auto socket = std::make_shared<tcp::socket>(executor);
  socket->assign(address.is_v4() ? tcp::v4() : tcp::v6(), fd.get(), attempt.error);
  if (attempt.error) co_return attempt;
  (void)fd.release();
  asio::steady_timer limit(executor, kConnectLimit);
  limit.async_wait([socket](const boost::system::error_code& cancelled) {
    boost::system::error_code ignored;
    if (!cancelled) socket->close(ignored);
  });
  tcp::endpoint endpoint(address, port);
  auto [error] = co_await socket->async_connect(endpoint, kUse);
  limit.cancel();
  attempt.error = error;
  if (!error) attempt.channel = std::make_shared<Channel>(std::move(*socket));
  co_return attempt;
}

}  // namespace

Upstream::Upstream(const SandboxRoute& route, std::uint64_t port)
    : id_(route.id),
      port_(port),
      netns_(route.netns),
      ingress_(route.ingress ? route.ingress : std::make_shared<const IngressRules>()),
      address_(route.address),
      lifecycle_(route.connections) {
  auto cut = [this] {
    for (Idle& idle : idle_) idle.channel->close(true);
    idle_.clear();
    // Idle clients still point here; the namespace must not wait for them.
    netns_.reset();
  };
  registration_ = LiveConnections::add(lifecycle_, std::move(cut), LiveConnections::Kind::kOwn);
}

std::shared_ptr<Channel> Upstream::take_idle() {
  while (!idle_.empty()) {
    std::shared_ptr<Channel> channel = std::move(idle_.back().channel);
    idle_.pop_back();
    // Closed meanwhile, or it speaks without being asked: of no use.
    if (!channel->ended() && channel->data().empty()) return channel;
    channel->close(false);
  }
  return nullptr;
}

void Upstream::put_idle(std::shared_ptr<Channel> channel) {
  if (closed() || idle_.size() >= kMostIdle || starving()) return channel->close(false);
  channel->start_read();
  idle_.push_back({std::move(channel), 0});
}

bool Upstream::starving() const {
  return !unanswered_.empty() &&
         std::chrono::steady_clock::now() - unanswered_.front() >= kPatience;
}

void Upstream::close_idle() {
  for (Idle& idle : idle_) idle.channel->close(false);
  idle_.clear();
}

bool Upstream::age() {
  std::erase_if(idle_, [](Idle& idle) {
    bool old = ++idle.age > 2 || idle.channel->ended();
    if (old) idle.channel->close(false);
    return old;
  });
  return !idle_.empty();
}

Dialer::Dialer(asio::any_io_executor executor, SocketOpener open, std::size_t threads)
    : executor_(std::move(executor)),
      open_(std::move(open)),
      pool_(threads),
      sweep_(executor_),
      patience_(executor_) {}

Dialer::~Dialer() {
  *alive_ = false;
}

std::shared_ptr<Upstream> Dialer::find(const SandboxRoute& route, std::uint64_t port) {
  auto& upstream = upstreams_[{route.connections.get(), port}];
  if (!upstream) {
    upstream = std::make_shared<Upstream>(route, port);
    arm_sweep();
  }
  return upstream;
}

base::Task<std::shared_ptr<Channel>> Dialer::dial(std::shared_ptr<Upstream> upstream) {
  if (upstream->port_ == 0 || upstream->port_ > 65535) {
    co_return base::fail(Errc::kNotFound, "no such port");
  }
  std::array<asio::ip::address, 3> candidates = {
      asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback(), {}};
  boost::system::error_code bad_address;
  candidates[2] = asio::ip::make_address(upstream->address_, bad_address);
  std::size_t count = bad_address ? 2 : 3;
  base::Error last(Errc::kNotFound, "connection refused");
  if (upstream->closed()) co_return base::fail(Errc::kCanceled, "the sandbox has ended");
  for (std::size_t n = 0; n < count; ++n) {
    std::size_t which = (upstream->first_candidate_ + n) % count;
    int family = candidates[which].is_v4() ? AF_INET : AF_INET6;
    auto work = [this, netns = upstream->netns_, family] {
      return open_(netns ? netns->get() : -1, family);
    };
    auto fd = co_await base::offload(pool_, std::move(work));
    if (upstream->closed()) co_return base::fail(Errc::kCanceled, "the sandbox has ended");
    if (!fd) {
      last = std::move(fd).error();
      continue;
    }
    auto port = static_cast<std::uint16_t>(upstream->port_);
    Attempt attempt = co_await connect(executor_, std::move(*fd), candidates[which], port);
    if (attempt.channel) {
      upstream->first_candidate_ = which;
      co_return std::move(attempt.channel);
    }
    if (upstream->closed()) co_return base::fail(Errc::kCanceled, "the sandbox has ended");
  }
  co_return base::fail(Errc::kNotFound, last.message());
}

void Dialer::keep(const std::shared_ptr<Upstream>& upstream, std::shared_ptr<Channel> channel) {
  upstream->put_idle(std::move(channel));
  arm_sweep();
  if (!upstream->unanswered_.empty()) arm_patience();
}

Upstream::Question Dialer::asked(const std::shared_ptr<Upstream>& upstream) {
  auto& unanswered = upstream->unanswered_;
  auto question = unanswered.insert(unanswered.end(), std::chrono::steady_clock::now());
  arm_patience();
  return question;
}

void Dialer::arm_patience() {
  if (waiting_) return;
  waiting_ = true;
  patience_.expires_after(kPatience);
  patience_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive) return;
    waiting_ = false;
    if (error) return;
    bool more = false;
    for (auto& [key, upstream] : upstreams_) {
      // While one starves nothing is kept idle: only younger questions need another look.
      if (upstream->starving()) {
        upstream->close_idle();
      } else if (!upstream->unanswered_.empty()) {
        more = true;
      }
    }
    if (more) arm_patience();
  });
}

void Dialer::arm_sweep() {
  if (sweeping_) return;
  sweeping_ = true;
  sweep_.expires_after(kSweep);
  sweep_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive) return;
    sweeping_ = false;
    if (error) return;
    std::erase_if(upstreams_, [](auto& entry) {
      bool idle = entry.second->age();
      return entry.second->closed() || (!idle && entry.second.use_count() == 1);
    });
    if (!upstreams_.empty()) arm_sweep();
  });
}

void Dialer::stop() {
  sweep_.cancel();
  patience_.cancel();
  for (auto& [key, upstream] : upstreams_) {
    while (auto channel = upstream->take_idle()) channel->close(false);
  }
  upstreams_.clear();
}

}  // namespace emulator::proxy
