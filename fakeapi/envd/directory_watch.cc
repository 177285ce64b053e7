#include "fakeapi/envd/directory_watch.h"

#include <fcntl.h>

#include <boost/asio/post.hpp>

#include "fakeapi/envd/entry_info.h"

namespace fakeapi::envd {

namespace asio = boost::asio;

namespace {

// More than the kernel keeps by default (16384 events): what is lost is lost there, and said.
constexpr std::size_t kMaxBytes = 4U << 20U;
constexpr std::size_t kEventOverhead = 64;
// What a scan may cost between two turns of the loop: about 250 directories or 2000 files.
constexpr int kScanSlice = 2000;

std::size_t size_of(const DirectoryWatch::Event& event) {
  return kEventOverhead + event.name().size() + (event.has_entry() ? event.ByteSizeLong() : 0);
}

}  // namespace

DirectoryWatch::DirectoryWatch(asio::any_io_executor executor,
                               Inotify inotify,
                               WatchOptions options,
                               UserDatabase& users)
    : options_(std::move(options)),
      users_(users),
      inotify_(std::move(inotify)),
      tree_(inotify_, options_.path, options_.recursive),
      readable_(executor),
      wake_(executor, asio::steady_timer::time_point::max()),
      room_(executor, asio::steady_timer::time_point::max()) {}

base::Task<std::shared_ptr<DirectoryWatch>> DirectoryWatch::open(asio::any_io_executor executor,
                                                                 base::TaskGroup& tasks,
                                                                 WatchOptions options,
                                                                 UserDatabase& users) {
  SANDLOT_CO_TRY(Inotify inotify, Inotify::open());
  std::unique_ptr<DirectoryWatch> made(
      new DirectoryWatch(std::move(executor), std::move(inotify), std::move(options), users));
  std::shared_ptr<DirectoryWatch> self = std::move(made);
  SANDLOT_CO_CHECK(self->tree_.start());
  self->scan_slice();
  co_await self->settle();
  if (self->failure_) co_return base::fail(base::Errc::kInternal, *self->failure_);
  int copy = ::fcntl(self->inotify_.fd(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) co_return base::fail_errno("duplicate inotify descriptor");
  boost::system::error_code refused;
  self->readable_.assign(copy, refused);
  if (refused) {
    ::close(copy);
    co_return base::fail(base::Errc::kInternal, "watch: " + refused.message());
  }
  tasks.spawn("watch", read_until_closed(self));
  co_return self;
}

void DirectoryWatch::close() {
  boost::system::error_code ignored;
  readable_.close(ignored);
  inotify_.close();
  settled_ = true;
  wake_.cancel();
  room_.cancel();
}

asio::awaitable<void> DirectoryWatch::read_until_closed(std::shared_ptr<DirectoryWatch> self) {
  for (;;) {
    auto [error] =
        co_await self->readable_.async_wait(asio::posix::descriptor_base::wait_read, base::kUse);
    if (error || self->closed() || self->failure_) co_return;
    while (self->full() && !self->closed()) co_await self->room_.async_wait(base::kUse);
    self->read_once();
    co_await self->settle();
    // The root's end: what is queued is still to be had, nothing more will come.
    if (self->failure_ || self->tree_.ended()) co_return;
  }
}

bool DirectoryWatch::full() const {
  return options_.when_full == WhenFull::kWait && bytes_ >= kMaxBytes;
}

// The first failure stays.
void DirectoryWatch::fail(const std::string& why) {
  if (!failure_) failure_ = "watcher error: " + why;
}

void DirectoryWatch::check_tree() {
  if (tree_.failure()) fail(*tree_.failure());
}

bool DirectoryWatch::read_once() {
  if (closed() || failure_) {
    settled_ = true;
    return false;
  }
  std::vector<Change> changes;
  auto visit = [this, &changes](const InotifyRecord& record) {
    changes.clear();
    tree_.apply(record, changes);
    for (const Change& change : changes) publish(change);
  };
  auto count = inotify_.read(visit);
  if (!count) fail(count.error().message());
  scan_slice();
  return count && *count > 0;
}

void DirectoryWatch::scan_slice() {
  settled_ = failure_ || closed() || !tree_.scan(kScanSlice);
  check_tree();
  if (settled_) wake_.cancel();
}

// The kernel's queue is emptied between the slices: it holds little, and a scan may take seconds.
asio::awaitable<void> DirectoryWatch::settle() {
  while (!settled_) {
    co_await asio::post(base::kUse);
    if (settled_) co_return;  // by somebody else who waits for the same
    if (full()) {
      scan_slice();
    } else {
      read_once();
    }
  }
}

asio::awaitable<void> DirectoryWatch::catch_up(std::shared_ptr<DirectoryWatch> self) {
  while (self->read_once()) co_await asio::post(base::kUse);
  co_await self->settle();
}

void DirectoryWatch::publish(const Change& change) {
  if (failure_) return;
  Event event;
  event.set_name(change.name);
  event.set_type(change.type);
  bool there = change.type != ::filesystem::EVENT_TYPE_REMOVE &&
               change.type != ::filesystem::EVENT_TYPE_RENAME;
  if (options_.include_entry && there) {
    auto entry = entry_info(tree_.path_of(change.name), users_);
    if (entry) *event.mutable_entry() = std::move(*entry);
  }
  bytes_ += size_of(event);
  events_.push_back(std::move(event));
  if (options_.when_full == WhenFull::kFail && bytes_ >= kMaxBytes) fail(kWatchOverflow);
}

DirectoryWatch::Event DirectoryWatch::pop() {
  Event event = std::move(events_.front());
  events_.pop_front();
  bytes_ -= std::min(bytes_, size_of(event));
  room_.cancel();
  return event;
}

asio::awaitable<void> DirectoryWatch::wait_until(std::chrono::steady_clock::time_point when) {
  if (!empty() || failure_) co_return;
  wake_.expires_at(when);
  co_await wake_.async_wait(base::kUse);
}

}  // namespace fakeapi::envd
