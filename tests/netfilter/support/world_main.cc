// main of the tests that move packets: becomes "the machine" of world.h.
#include <sched.h>

#include <cstdio>
#include <cstring>

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  bool listing = false;
  for (int i = 1; i < argc; ++i)
    listing = listing || std::strcmp(argv[i], "--gtest_list_tests") == 0;
  testing::InitGoogleTest(&argc, argv);
  if (!listing && ::unshare(CLONE_NEWNET) != 0) {
    std::perror("these tests make network namespaces and need root: unshare");
    return 1;
  }
  return RUN_ALL_TESTS();
}
