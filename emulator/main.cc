// Picks the role: the spawner (re-executed by the runtime), or a command. Nothing else.
#include <string_view>

#include "emulator/application.h"
#include "emulator/cli/cli.h"
#include "fakeapi/envd/agent.h"
#include "namespaces/container_runtime.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == namespaces::kSpawnerRole) {
    // What the agents share is touched once, before the first of them is forked.
    fakeapi::envd::warm_up();
    return namespaces::spawner_main(fakeapi::envd::agent_main);
  }
  return emulator::cli::run_cli(argc, argv, emulator::serve);
}
