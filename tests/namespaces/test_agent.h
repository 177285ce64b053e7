// The agent of the tests: runs one shell command at a time for whoever holds the control channel.
#pragma once

namespace namespaces_test {

// A request is "<uid> <command>"; the answer is "<exit status>\n<output>". Status 128 + n = ended
// by signal n.
int test_agent(int control_fd, int oom_score_fd);

}  // namespace namespaces_test
