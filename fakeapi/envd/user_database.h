// The sandbox's users and groups, read from its own passwd and group files without NSS: pid 1 may
// load nothing from a root that belongs to somebody else. Used for callers, owners and launches.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fakeapi::envd {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;
};

struct Group {
  std::string name;
  gid_t gid = 0;
  std::vector<std::string> members;
};

// Lines that are not entries (comments, too few fields, bad numbers) are skipped.
std::vector<User> parse_passwd(std::string_view text);
std::vector<Group> parse_group(std::string_view text);

// Re-reads a file when its inode, size or time changed. A missing file is an empty one.
class UserDatabase {
 public:
  UserDatabase(std::string passwd_path, std::string group_path)
      : passwd_path_(std::move(passwd_path)), group_path_(std::move(group_path)) {}

  std::optional<User> find(std::string_view name);
  // Primary and supplementary groups, as initgroups(3) would set them.
  std::vector<gid_t> groups_of(const User& user);
  // The name, or the number in decimal when there is none.
  std::string user_name(uid_t uid);
  std::string group_name(gid_t gid);

 private:
  struct Stamp {
    ino_t inode = 0;
    off_t size = -1;
    timespec time{};
    bool operator==(const Stamp& other) const;
  };
  static Stamp stamp_of(const std::string& path);
  void refresh();

  std::string passwd_path_;
  std::string group_path_;
  Stamp passwd_stamp_;
  Stamp group_stamp_;
  std::vector<User> users_;
  std::vector<Group> groups_;
  std::map<uid_t, std::string> user_names_;
  std::map<gid_t, std::string> group_names_;
};

}  // namespace fakeapi::envd
