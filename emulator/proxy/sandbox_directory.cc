#include "emulator/proxy/sandbox_directory.h"

#include <utility>

namespace emulator::proxy {

LiveConnections::Registration& LiveConnections::Registration::operator=(
    Registration&& other) noexcept {
  if (this == &other) return *this;
  if (owner_) owner_->remove(at_);
  owner_ = std::move(other.owner_);
  at_ = other.at_;
  return *this;
}

LiveConnections::Registration::~Registration() {
  if (owner_) owner_->remove(at_);
}

void LiveConnections::remove(std::list<Entry>::iterator at) {
  // After cut_all() the list is gone, and `at` with it.
  if (closed_) return;
  bool was_client = at->kind != Kind::kOwn;
  cuts_.erase(at);
  if (was_client && --clients_ == 0 && on_change_) on_change_(false);
}

LiveConnections::Registration LiveConnections::add(const std::shared_ptr<LiveConnections>& self,
                                                   Cut cut,
                                                   Kind kind) {
  if (self->closed_) return {};
  if (kind != Kind::kOwn && self->clients_++ == 0 && self->on_change_) self->on_change_(true);
  Entry entry{std::move(cut), kind, 0};
  return {self, self->cuts_.insert(self->cuts_.end(), std::move(entry))};
}

void LiveConnections::cut_public() {
  ++round_;
  // A cut may end other registrations: those that have had their turn go to the end of the list.
  while (!cuts_.empty() && cuts_.front().seen != round_) {
    auto first = cuts_.begin();
    first->seen = round_;
    cuts_.splice(cuts_.end(), cuts_, first);
    if (first->kind != Kind::kPublic) continue;
    Cut cut = first->cut;
    cut();
  }
}

void LiveConnections::cut_all() {
  if (closed_) return;
  closed_ = true;
  // A cut may end its connection at once, and with it the registration of another one.
  std::list<Entry> cuts = std::exchange(cuts_, {});
  clients_ = 0;
  for (Entry& entry : cuts) entry.cut();
}

void LiveConnections::reset_all() {
  if (closed_) return;
  resets_ = true;
  cut_all();
}

}  // namespace emulator::proxy
