// A container from the outside: it comes up, has limits, freezes, ends.
#include <signal.h>
#include <sys/stat.h>

#include <fstream>

#include <gmock/gmock.h>

#include "emulator/base/posix.h"
#include "tests/namespaces/fixture.h"

namespace namespaces_test {

using ::testing::HasSubstr;

TEST_F(RuntimeTest, ContainerRunsACommandAsItsRoot) {
  auto container = start("first");
  ASSERT_TRUE(container);
  auto output = run_in(*container, 0, "id -u; hostname; ls -ld /usr /etc | wc -l");
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.text, "0\nsandbox-host\n2\n");
}

}  // namespace namespaces_test
