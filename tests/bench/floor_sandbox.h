// Floor sandboxes: the parent's side. A world (clean mount namespace, switch namespace, cgroup) and
// the sandboxes in it, made fresh, over a ready slot, or taken whole from a pool
// (performance.md 2.7).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "emulator/base/unique_fd.h"
#include "tests/bench/floor_network.h"

namespace bench {

struct Sandbox {
  unsigned id = 0;
  int pid = -1;
  base::UniqueFd pidfd;
  base::UniqueFd socket;
  base::UniqueFd slot;  // its network namespace, when that came from the slots
  std::uint32_t link = 0;
  std::int64_t child_cpu_ns = 0;
};

class World {
 public:
  // `directory` exists, is empty and lies on the data disk.
  FailedStep enter(const std::string& directory);
  // Ends every sandbox, removes the cgroup. The namespaces go with the process.
  void leave();

  FailedStep fill_slots(unsigned count);
  FailedStep fill_pool(unsigned count);

  // The three ways; `id` is what destroy() takes.
  FailedStep create_fresh(unsigned& id);
  FailedStep create_over_slot(unsigned& id);
  FailedStep claim_from_pool(unsigned& id);

  // SIGKILL by pidfd, reaped, cgroup removed. tidy() does what may come later.
  FailedStep destroy(unsigned id);
  void tidy();

  std::int64_t child_cpu_ns(unsigned id) const { return sandboxes_.at(id).child_cpu_ns; }

 private:
  struct Slot {
    base::UniqueFd netns;
    std::uint32_t link = 0;
  };

  FailedStep create(Sandbox& sandbox, bool own_network);
  FailedStep start(Sandbox& sandbox, bool own_network, int overlay, int cgroup);
  FailedStep finish(Sandbox& sandbox, bool own_network);
  FailedStep make_slot(Slot& slot);
  FailedStep await_answer(Sandbox& sandbox);
  std::string cgroup_of(unsigned id) const;

  base::UniqueFd switch_netns_;
  base::UniqueFd route_;
  std::string cgroup_;
  std::map<unsigned, Sandbox> sandboxes_;
  std::deque<Slot> slots_;
  std::deque<unsigned> pool_;
  std::deque<unsigned> untidy_;
  unsigned last_id_ = 0;
  std::uint32_t last_link_ = 0;
  std::string child_error_;
};

}  // namespace bench
