// The account files of the `base` template (contract-envd 5.4). Pure: text in, text out. Used by
// base_template.cc.
#pragma once

#include <string>
#include <string_view>

namespace emulator::sandboxes {

struct AccountFiles {
  std::string passwd;
  std::string group;
  std::string shadow;  // no hash in it: root and user have an empty password, all others are locked
  std::string gshadow;
};

// Debian's fixed system accounts, `user` (1000, member of sudo), `node`, and those well-known
// system accounts that the machine has under an id of its own (messagebus, _ssh, ...), so that the
// owners of files in /usr have their names. People, and services the list does not know, stay out.
AccountFiles make_account_files(std::string_view host_passwd, std::string_view host_group);

// True when `group` (a file's text) has a group of that name.
bool has_account(std::string_view file, std::string_view name);

}  // namespace emulator::sandboxes
