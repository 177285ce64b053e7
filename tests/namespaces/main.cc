// Dispatches like the product's main: the spawner role comes before anything else.
#include <string_view>

#include <gtest/gtest.h>

#include "namespaces/container_runtime.h"
#include "tests/namespaces/test_agent.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == namespaces::kSpawnerRole) {
    return namespaces::spawner_main(namespaces_test::test_agent);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
