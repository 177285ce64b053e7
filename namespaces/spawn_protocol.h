// The messages between the server (spawn_client.cc) and the spawner (spawner.cc): fixed structures
// over a SOCK_SEQPACKET socket. Both ends are always the same binary (a sealed copy of it), so
// there is no version and no byte order. Descriptors travel beside them by SCM_RIGHTS, in the order
// given here.
#pragma once

#include <array>
#include <cstdint>

namespace namespaces {

inline constexpr int kSpawnerSocket = 3;
inline constexpr std::size_t kHostnameSize = 65;
inline constexpr std::size_t kMaxTaskFds = 4;

enum class SpawnKind : std::uint32_t {
  kSandbox = 1,  // descriptors: netns, control, root, dev, [usr], [cgroup], tasks...
  kUserns = 2,   // no descriptor; the answer carries a user namespace with the id range
};

struct SpawnRequest {
  SpawnKind kind = SpawnKind::kSandbox;
  std::uint32_t sequence = 0;  // comes back in the answer
  std::uint32_t first_id = 0;
  std::uint32_t id_count = 0;
  std::uint32_t has_usr = 0;
  std::uint32_t has_cgroup = 0;  // a version 2 cgroup directory to be born in
  std::uint32_t task_fds = 0;    // version 1 `tasks` files, opened for writing by real root
  std::array<char, kHostnameSize> hostname{};
};

// The first message after start is a SpawnReply too: error 0 says that the spawner is up.
struct SpawnReply {
  std::int32_t error = 0;  // errno; 0 = the descriptor (pidfd, user namespace) is attached
  std::int32_t pid = -1;
  std::uint32_t sequence = 0;
  std::array<char, 48> step{};
};

}  // namespace namespaces
