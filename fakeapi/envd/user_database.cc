#include "fakeapi/envd/user_database.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "emulator/base/posix.h"

namespace fakeapi::envd {

namespace {

constexpr std::size_t kFileLimit = 4U << 20U;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// The tenant's file: whatever it has become (a fifo, say), this does not wait and takes so much.
std::string read_tenants_file(const std::string& path) {
  auto file = base::open_file(path, O_RDONLY | O_NONBLOCK);
  std::string text;
  std::array<char, 16384> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (file && text.size() <= kFileLimit) {
    auto count = base::read_some(file->get(), piece);
    if (!count) return "";
    if (*count == 0) return text;
    text.append(piece.data(), *count);
  }
  return "";
}

}  // namespace

std::vector<User> parse_passwd(std::string_view text) {
  std::vector<User> users;
  for (std::string_view line : split(text, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() < 7 || fields[0].empty() || fields[0].front() == '#') continue;
    User user;
    user.name = fields[0];
    if (!parse_number(fields[2], user.uid) || !parse_number(fields[3], user.gid)) continue;
    user.home = fields[5];
    user.shell = fields[6];
    users.push_back(std::move(user));
  }
  return users;
}

std::vector<Group> parse_group(std::string_view text) {
  std::vector<Group> groups;
  for (std::string_view line : split(text, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() < 4 || fields[0].empty() || fields[0].front() == '#') continue;
    Group group;
    group.name = fields[0];
    if (!parse_number(fields[2], group.gid)) continue;
    for (std::string_view member : split(fields[3], ',')) {
      if (!member.empty()) group.members.emplace_back(member);
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

bool UserDatabase::Stamp::operator==(const Stamp& other) const {
  return inode == other.inode && size == other.size && time.tv_sec == other.time.tv_sec &&
         time.tv_nsec == other.time.tv_nsec;
}

UserDatabase::Stamp UserDatabase::stamp_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size, info.st_mtim};
}

void UserDatabase::refresh() {
  Stamp passwd = stamp_of(passwd_path_);
  if (!(passwd == passwd_stamp_)) {
    users_ = parse_passwd(read_tenants_file(passwd_path_));
    passwd_stamp_ = passwd;
    user_names_.clear();
    for (const User& user : users_) user_names_.emplace(user.uid, user.name);
  }
  Stamp group = stamp_of(group_path_);
  if (!(group == group_stamp_)) {
    groups_ = parse_group(read_tenants_file(group_path_));
    group_stamp_ = group;
    group_names_.clear();
    for (const Group& item : groups_) group_names_.emplace(item.gid, item.name);
  }
}

std::optional<User> UserDatabase::find(std::string_view name) {
  refresh();
  auto found = std::find_if(users_.begin(), users_.end(),
                            [&](const User& user) { return user.name == name; });
  if (found == users_.end()) return std::nullopt;
  return *found;
}

std::vector<gid_t> UserDatabase::groups_of(const User& user) {
  refresh();
  std::vector<gid_t> ids = {user.gid};
  for (const Group& group : groups_) {
    bool member =
        std::find(group.members.begin(), group.members.end(), user.name) != group.members.end();
    if (member && group.gid != user.gid) ids.push_back(group.gid);
  }
  return ids;
}

std::string UserDatabase::user_name(uid_t uid) {
  refresh();
  auto found = user_names_.find(uid);
  return found == user_names_.end() ? std::to_string(uid) : found->second;
}

std::string UserDatabase::group_name(gid_t gid) {
  refresh();
  auto found = group_names_.find(gid);
  return found == group_names_.end() ? std::to_string(gid) : found->second;
}

}  // namespace fakeapi::envd
