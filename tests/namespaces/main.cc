// Dispatches like the product's main: the spawner role comes before anything else.
#include <string_view>

#include <gtest/gtest.h>

#include "namespaces/container_runtime.h"
#include "tests/namespaces/fixture.h"
#include "tests/namespaces/test_agent.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == namespaces::kSpawnerRole) {
    return namespaces::spawner_main(namespaces_test::test_agent);
  }
  if (argc > 3 && std::string_view(argv[1]) == namespaces_test::kCrashRole) {
    return namespaces_test::run_until_killed(argv[2], argv[3]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
