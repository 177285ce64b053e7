#include "emulator/proxy/sandbox_directory.h"

#include <utility>

namespace emulator::proxy {

LiveConnections::Registration& LiveConnections::Registration::operator=(
    Registration&& other) noexcept {
  if (this == &other) return *this;
  if (owner_ && !owner_->closed_) owner_->cuts_.erase(at_);
  owner_ = std::move(other.owner_);
  at_ = other.at_;
  return *this;
}

LiveConnections::Registration::~Registration() {
  // After cut_all() the list is gone, and `at_` with it.
  if (owner_ && !owner_->closed_) owner_->cuts_.erase(at_);
}

LiveConnections::Registration LiveConnections::add(const std::shared_ptr<LiveConnections>& self,
                                                   Cut cut) {
  if (self->closed_) return {};
  return {self, self->cuts_.insert(self->cuts_.end(), std::move(cut))};
}

void LiveConnections::cut_all() {
  if (closed_) return;
  closed_ = true;
  // A cut may end its connection at once, and with it the registration of another one.
  std::list<Cut> cuts = std::exchange(cuts_, {});
  for (Cut& cut : cuts) cut();
}

}  // namespace emulator::proxy
