#include "fakeapi/envd/descriptor_limit.h"

namespace fakeapi::envd {

namespace {

rlimit current() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

}  // namespace

const rlimit& started_descriptor_limit() {
  static const rlimit limit = current();
  return limit;
}

void raise_descriptor_limit() {
  rlimit limit = started_descriptor_limit();
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace fakeapi::envd
