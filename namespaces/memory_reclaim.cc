#include "namespaces/memory_reclaim.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "emulator/base/posix.h"

namespace namespaces {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

// Small enough that a stop between two of them is soon.
constexpr std::uint64_t kStep = 64U << 20U;

// Nothing to do: its delivery alone ends a system call.
void ignore_signal(int) {}

// Only this thread is ever sent one, so the disposition of the whole process does not matter to
// others.
void let_me_be_interrupted() {
  struct sigaction action {};
  action.sa_handler = ignore_signal;  // without SA_RESTART
  ::sigaction(SIGURG, &action, nullptr);
  sigset_t urgent;
  ::sigemptyset(&urgent);
  ::sigaddset(&urgent, SIGURG);
  ::pthread_sigmask(SIG_UNBLOCK, &urgent, nullptr);
}

// One write, that an interruption ends. Appending is the same to the kernel, and a recorded tree
// shows every step.
bool ask(const fs::path& file, const std::string& text) {
  auto control = base::open_file(file, O_WRONLY | O_APPEND);
  return control && ::write(control->get(), text.data(), text.size()) >= 0;
}

std::uint64_t bytes_in_use(const fs::path& file) {
  std::uint64_t bytes = 0;
  auto text = base::read_file(file);
  if (text) std::from_chars(text->data(), text->data() + text->size(), bytes);
  return bytes;
}

}  // namespace

void StopSign::set() {
  std::lock_guard lock(mutex_);
  set_ = true;
  if (thread_) ::pthread_kill(*thread_, SIGURG);
}

bool StopSign::is_set() const {
  std::lock_guard lock(mutex_);
  return set_;
}

// The thread that a sign is to stop, for as long as this lives.
class AtWork {
 public:
  explicit AtWork(StopSign& stop) : stop_(stop) {
    std::lock_guard lock(stop_.mutex_);
    stop_.thread_ = ::pthread_self();
  }
  AtWork(const AtWork&) = delete;
  AtWork& operator=(const AtWork&) = delete;
  ~AtWork() {
    std::lock_guard lock(stop_.mutex_);
    stop_.thread_.reset();
  }

 private:
  StopSign& stop_;
};

void reclaim_memory(const CgroupLayout& layout, const fs::path& relative, StopSign& stop) {
  const auto* memory = layout.find("memory");
  if (memory == nullptr) return;
  let_me_be_interrupted();
  AtWork at_work(stop);
  fs::path directory = memory->root / relative;
  if (memory->version == CgroupVersion::kV1) {
    // All of it in one call, which looks for signals.
    if (!stop.is_set()) (void)ask(directory / "memory.force_empty", "1\n");
    return;
  }
  std::uint64_t left = bytes_in_use(directory / "memory.current");
  while (left > 0 && !stop.is_set()) {
    std::uint64_t step = std::min(left, kStep);
    // EAGAIN: it took less, because there is no more.
    if (!ask(directory / "memory.reclaim", std::to_string(step) + "\n")) return;
    left -= step;
  }
}

asio::awaitable<void> MemoryReclaim::run(std::shared_ptr<MemoryReclaim> self,
                                         base::BlockingPool& pool,
                                         const CgroupLayout& layout,
                                         fs::path relative) {
  auto stop = std::make_shared<StopSign>();
  self->stop_ = stop;
  self->delay_.expires_after(kDelay);
  auto [cancelled] = co_await self->delay_.async_wait(base::kUse);
  if (cancelled || stop->is_set()) co_return;
  ++self->in_kernel_;
  auto work = [stop, machine = &layout, relative = std::move(relative)] {
    reclaim_memory(*machine, relative, *stop);
    return true;
  };
  co_await base::offload(pool, std::move(work));
  --self->in_kernel_;
}

void MemoryReclaim::stop() {
  delay_.cancel();
  if (stop_) stop_->set();
}

}  // namespace namespaces
