#include "netfilter/machine_rules.h"

#include <algorithm>

namespace netfilter {

namespace {

constexpr std::string_view kTag = "sandlot:";
constexpr std::size_t kMaxComment = 255;  // of the comment match, without its end

// The next line of `text`, taken off.
std::string_view take_line(std::string_view& text) {
  std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

// What stands in quotes behind `--comment` (iptables-save quotes what has a blank), escapes kept.
std::string_view comment_of(std::string_view rule) {
  constexpr std::string_view kOption = "--comment ";
  std::size_t at = rule.find(kOption);
  if (at == std::string_view::npos) return {};
  rule.remove_prefix(at + kOption.size());
  if (!rule.starts_with('"')) return rule.substr(0, rule.find(' '));
  rule.remove_prefix(1);
  for (std::size_t i = 0; i < rule.size(); ++i) {
    if (rule[i] == '\\') {
      ++i;
    } else if (rule[i] == '"') {
      return rule.substr(0, i);
    }
  }
  return {};
}

std::string record_of(const std::string& instance) {
  return "/" + instance + "/uplink";
}

std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    result += text[i];
  }
  return result;
}

}  // namespace

std::string UplinkRecord::text() const {
  std::string result = "link " + link + "\ntool " + tool + "\nnetns " + netns + "\n";
  for (const auto& [name, value] : sysctls)
    result.append("sysctl ").append(name).append(" ").append(value).append("\n");
  return result;
}

base::Result<UplinkRecord> UplinkRecord::parse(std::string_view text) {
  UplinkRecord record;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::size_t first = std::min(line.find(' '), line.size());
    std::string_view key = line.substr(0, first);
    std::string_view rest = line.substr(std::min(first + 1, line.size()));
    if (key == "link") record.link = rest;
    if (key == "tool") record.tool = rest;
    if (key == "netns") record.netns = rest;
    std::size_t last = rest.rfind(' ');
    if (key == "sysctl" && last != std::string_view::npos)
      record.sysctls.emplace_back(rest.substr(0, last), rest.substr(last + 1));
  }
  if (record.link.empty() || record.tool.empty() || record.netns.empty())
    return base::fail(base::Errc::kInvalidArgument, "not the record of an uplink");
  return record;
}

std::string rule_comment(const std::string& instance, const std::string& record_file) {
  std::string comment = std::string(kTag) + instance;
  if (comment.size() + 1 + record_file.size() <= kMaxComment) comment += " " + record_file;
  return comment;
}

std::string machine_rules(const std::string& link,
                          const Ipv4& switch_address,
                          const std::string& comment) {
  std::string from = " -s " + to_string(switch_address);
  std::string tag = " -m comment --comment " + quoted(comment);
  std::string text = "*mangle\n";
  text += "-I PREROUTING 1 -i " + link + " -m addrtype ! --dst-type UNICAST" + tag + " -j DROP\n";
  text += "COMMIT\n*nat\n";
  text += "-I POSTROUTING 1" + from + " ! -o " + link + tag + " -j MASQUERADE\n";
  text += "COMMIT\n*filter\n";
  text += "-I FORWARD 1 -i " + link + from + " ! -p tcp" + tag + " -j ACCEPT\n";
  text += "-I FORWARD 1 -o " + link + " -m conntrack --ctstate RELATED,ESTABLISHED" + tag +
          " -j ACCEPT\n";
  return text + "COMMIT\n";
}

std::string removal_of(std::string_view saved, const std::string& instance) {
  std::string mine = std::string(kTag) + instance;
  std::string text;
  std::string table;
  bool open = false;
  auto close = [&] {
    if (open) text += "COMMIT\n";
    open = false;
  };
  while (!saved.empty()) {
    std::string_view line = take_line(saved);
    if (line.starts_with('*')) {
      close();
      table = line;
    }
    std::string_view comment = comment_of(line);
    bool ours = line.starts_with("-A ") && comment.starts_with(mine) &&
                (comment.size() == mine.size() || comment[mine.size()] == ' ');
    if (!ours) continue;
    if (!open) text += table + "\n";
    open = true;
    text.append("-D ").append(line.substr(3)).append("\n");
  }
  close();
  return text;
}

std::vector<std::string> records_in(std::string_view saved) {
  std::vector<std::string> files;
  while (!saved.empty()) {
    std::string_view comment = comment_of(take_line(saved));
    std::size_t space = comment.find(' ');
    if (!comment.starts_with(kTag) || space == std::string_view::npos) continue;
    std::string file = unescaped(comment.substr(space + 1));
    // Somebody else's comment may begin like ours.
    std::string instance(comment.substr(kTag.size(), space - kTag.size()));
    if (file.ends_with(record_of(instance))) files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

}  // namespace netfilter
