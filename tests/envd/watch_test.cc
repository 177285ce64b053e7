// Watchers of a running agent: what happens below a directory is told, by stream and by polling.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulator/base/posix.h"
#include "tests/envd/agent_harness.h"
#include "tests/integration/small_disk.h"

namespace envd_tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using Changes = std::vector<std::string>;

Changes texts(const json& events) {
  Changes out;
  for (const json& event : events) {
    std::string type = event.value("type", "?");
    out.push_back(type.substr(std::string("EVENT_TYPE_").size()) + " " + event.value("name", "?"));
  }
  return out;
}

json rpc(const RunningAgent& agent, const std::string& method, const json& request) {
  auto [status, body] = agent.call("filesystem.Filesystem/" + method, request);
  if (status != 200) body["http"] = status;
  return body;
}

// A watcher that is polled.
class Polled {
 public:
  Polled(const RunningAgent& agent, json request) : agent_(agent) {
    json answer = rpc(agent, "CreateWatcher", request);
    id_ = answer.value("watcherId", "");
  }
  const std::string& id() const { return id_; }
  json answer() const { return rpc(agent_, "GetWatcherEvents", {{"watcherId", id_}}); }
  Changes poll() const { return texts(answer().value("events", json::array())); }

 private:
  const RunningAgent& agent_;
  std::string id_;
};

class Streamed {
 public:
  Streamed(const RunningAgent& agent, const json& request, Client::Headers headers = {})
      : stream_(agent.port(), "filesystem.Filesystem/WatchDir", request, std::move(headers)) {}
  bool started() const { return stream_.started(); }
  std::optional<json> next() { return stream_.next(); }
  // Up to `count` changes; fewer when the stream ends.
  Changes changes(std::size_t count) {
    json events = json::array();
    while (events.size() < count) {
      auto event = stream_.next();
      if (!event) break;
      if (event->contains("filesystem")) events.push_back((*event)["filesystem"]);
    }
    return texts(events);
  }
  const json& end() const { return stream_.end(); }
  void close() { stream_.close(); }

 private:
  Stream stream_;
};

void write(const std::string& path, const std::string& text = "x") {
  ASSERT_TRUE(base::write_file(path, text));
}

TEST(Watch, EveryKindOfChangeHasItsName) {
  RunningAgent agent;
  Polled watch(agent, {{"path", "."}});
  EXPECT_THAT(watch.id(), testing::MatchesRegex("w[a-z0-9]+"));
  EXPECT_EQ(watch.id().size(), 21U);
  const std::string file = agent.home() + "/file";
  write(file);
  EXPECT_THAT(watch.poll(), ElementsAre("CREATE file", "WRITE file"));
  ::chmod(file.c_str(), 0600);
  EXPECT_THAT(watch.poll(), ElementsAre("CHMOD file"));
  fs::rename(file, agent.home() + "/other");
  EXPECT_THAT(watch.poll(), ElementsAre("RENAME file", "CREATE other"));
  fs::remove(agent.home() + "/other");
  EXPECT_THAT(watch.poll(), ElementsAre("REMOVE other"));
  EXPECT_EQ(watch.answer(), json::object()) << "an empty list is left out";
}

TEST(Watch, AnUploadIsExactlyThreeChangesAndPolledAtOnce) {
  RunningAgent agent;
  fs::create_directory(agent.home() + "/nested");
  Polled watch(agent, {{"path", agent.home()}, {"recursive", true}});
  Reply reply = agent.client().request("POST", "/files?path=nested/file.txt",
                                       {{"Content-Type", "application/octet-stream"}}, "data");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(watch.poll(), ElementsAre("CREATE nested/file.txt", "CHMOD nested/file.txt",
                                        "WRITE nested/file.txt"));
}

TEST(Watch, WithoutRecursionOnlyTheDirectoryItself) {
  RunningAgent agent;
  fs::create_directory(agent.home() + "/old");
  Polled watch(agent, {{"path", agent.home()}});
  write(agent.home() + "/old/file");
  fs::create_directory(agent.home() + "/new");
  write(agent.home() + "/new/file");
  EXPECT_THAT(watch.poll(), ElementsAre("CREATE new"));
}

TEST(Watch, NewDirectoriesAreWatchedFromTheirCreation) {
  RunningAgent agent;
  Streamed watch(agent, {{"path", agent.home()}, {"recursive", true}});
  ASSERT_TRUE(watch.started());
  fs::create_directory(agent.home() + "/new");
  EXPECT_THAT(watch.changes(1), ElementsAre("CREATE new"));
  write(agent.home() + "/new/file");
  EXPECT_THAT(watch.changes(2), ElementsAre("CREATE new/file", "WRITE new/file"));
  fs::create_directories(agent.home() + "/new/a/b");
  EXPECT_THAT(watch.changes(1), ElementsAre("CREATE new/a"));
}

TEST(Watch, ARenamedDirectoryGoesOnUnderItsNewName) {
  RunningAgent agent;
  fs::create_directories(agent.home() + "/a/deep");
  fs::create_directory(agent.home() + "/b");
  Polled watch(agent, {{"path", agent.home()}, {"recursive", true}});
  fs::rename(agent.home() + "/a", agent.home() + "/b/moved");
  EXPECT_THAT(watch.poll(), ElementsAre("RENAME a", "CREATE b/moved"));
  write(agent.home() + "/b/moved/deep/file");
  EXPECT_THAT(watch.poll(), ElementsAre("CREATE b/moved/deep/file", "WRITE b/moved/deep/file"));
  // Out of the tree: nothing more of it is heard.
  fs::rename(agent.home() + "/b/moved", agent.root() + "/outside");
  EXPECT_THAT(watch.poll(), ElementsAre("RENAME b/moved"));
  write(agent.root() + "/outside/deep/file", "again");
  EXPECT_THAT(watch.poll(), ElementsAre());
}

TEST(Watch, RemovedDirectoriesAreReportedOnceByTheirParent) {
  RunningAgent agent;
  fs::create_directory(agent.home() + "/gone");
  Polled watch(agent, {{"path", agent.home()}, {"recursive", true}});
  fs::remove(agent.home() + "/gone");
  EXPECT_THAT(watch.poll(), ElementsAre("REMOVE gone"));
}

TEST(Watch, SymlinkedDirectoriesAreNotFollowed) {
  RunningAgent agent;
  fs::create_directory(agent.root() + "/elsewhere");
  Polled watch(agent, {{"path", agent.home()}, {"recursive", true}});
  fs::create_directory_symlink(agent.root() + "/elsewhere", agent.home() + "/link");
  write(agent.root() + "/elsewhere/file");
  EXPECT_THAT(watch.poll(), ElementsAre("CREATE link"));
}

TEST(Watch, TheRootItselfIsADot) {
  RunningAgent agent;
  const std::string root = agent.home() + "/root";
  fs::create_directory(root);
  Streamed watch(agent, {{"path", root}});
  ASSERT_TRUE(watch.started());
  ::chmod(root.c_str(), 0700);
  EXPECT_THAT(watch.changes(1), ElementsAre("CHMOD ."));
  fs::remove(root);
  EXPECT_THAT(watch.changes(1), ElementsAre("REMOVE ."));
}

TEST(Watch, AMovedRootIsARenameAndThenSilence) {
  RunningAgent agent;
  fs::create_directory(agent.home() + "/root");
  Polled watch(agent, {{"path", "root"}});
  fs::rename(agent.home() + "/root", agent.home() + "/away");
  EXPECT_THAT(watch.poll(), ElementsAre("RENAME ."));
  write(agent.home() + "/away/file");
  EXPECT_THAT(watch.poll(), ElementsAre());
}

TEST(Watch, EntriesComeWithWhatStillExists) {
  RunningAgent agent;
  Polled watch(agent, {{"path", agent.home()}, {"includeEntry", true}});
  write(agent.home() + "/file", "12345");
  json events = watch.answer()["events"];
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1]["entry"]["path"], agent.home() + "/file");
  EXPECT_EQ(events[1]["entry"]["name"], "file");
  EXPECT_EQ(events[1]["entry"]["size"], "5");
  fs::rename(agent.home() + "/file", agent.home() + "/other");
  events = watch.answer()["events"];
  EXPECT_FALSE(events[0].contains("entry")) << "never for the old name";
  EXPECT_TRUE(events[1].contains("entry"));
  fs::remove(agent.home() + "/other");
  EXPECT_FALSE(watch.answer()["events"][0].contains("entry"));
  Polled plain(agent, {{"path", agent.home()}});
  write(agent.home() + "/third");
  EXPECT_FALSE(plain.answer()["events"][0].contains("entry")) << "only when asked for";
}

TEST(Watch, ErrorsHaveTheDaemonsWords) {
  RunningAgent agent;
  json missing = rpc(agent, "CreateWatcher", {{"path", "nowhere"}});
  const std::string path = agent.home() + "/nowhere";
  EXPECT_EQ(missing["http"], 404);
  EXPECT_EQ(missing["code"], "not_found");
  EXPECT_EQ(missing["message"],
            "path " + path + " not found: stat " + path + ": no such file or directory");
  write(agent.home() + "/file");
  json file = rpc(agent, "CreateWatcher", {{"path", "file"}});
  EXPECT_EQ(file["code"], "invalid_argument");
  EXPECT_EQ(file["message"], "path " + agent.home() + "/file not a directory: %!w(<nil>)");
  for (const char* method : {"GetWatcherEvents", "RemoveWatcher"}) {
    json unknown = rpc(agent, method, {{"watcherId", "wnone"}});
    EXPECT_EQ(unknown["http"], 404);
    EXPECT_EQ(unknown["message"], "watcher with id wnone not found");
  }
  Streamed stream(agent, {{"path", "nowhere"}});
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.end()["error"]["code"], "not_found");
}

TEST(Watch, ARemovedWatcherIsGoneAndOthersAreNot) {
  RunningAgent agent;
  Polled one(agent, {{"path", "."}});
  Polled two(agent, {{"path", "."}});
  EXPECT_EQ(rpc(agent, "RemoveWatcher", {{"watcherId", one.id()}}), json::object());
  EXPECT_EQ(one.answer()["code"], "not_found");
  write(agent.home() + "/file");
  EXPECT_EQ(two.poll().size(), 2U);
}

TEST(Watch, AStreamEndsAtItsDeadlineAndSaysThatItIsAlive) {
  RunningAgent agent;
  Client::Headers headers;
  headers.set("Connect-Timeout-Ms", "1500");
  headers.set("Keepalive-Ping-Interval", "1");
  Streamed watch(agent, {{"path", "."}}, headers);
  ASSERT_TRUE(watch.started());
  ASSERT_TRUE(watch.next()->contains("keepalive"));
  EXPECT_FALSE(watch.next());
  EXPECT_EQ(watch.end()["error"]["code"], "deadline_exceeded");
}

TEST(Watch, AThousandFilesAreNotLost) {
  RunningAgent agent;
  Streamed watch(agent, {{"path", "."}});
  ASSERT_TRUE(watch.started());
  for (int i = 0; i < 1000; ++i) write(agent.home() + "/f" + std::to_string(i), "");
  Changes changes = watch.changes(1000);
  std::set<std::string> created(changes.begin(), changes.end());
  EXPECT_EQ(created.size(), 1000U);
}

// A watched directory and, beside it, a tree of `outer` times `inner` directories that can move in:
// in memory, as disks take their time for so many.
struct LargeTree {
  LargeTree(const RunningAgent& agent, int outer, int inner)
      : disk(agent.root() + "/memory", "size=64m"),
        watched(agent.root() + "/memory/watched"),
        tree(agent.root() + "/memory/tree") {
    fs::create_directory(watched);
    for (int i = 0; i < outer; ++i) {
      for (int j = 0; j < inner; ++j) fs::create_directories(tree + place(i, j));
    }
  }
  static std::string place(int i, int j) {
    return "/d" + std::to_string(i) + "/e" + std::to_string(j);
  }
  tests::integration::SmallDisk disk;
  std::string watched, tree;
};

// Calls `meanwhile` until the watch has told what there was to tell, and returns that.
Changes poll_while(const Polled& watch, const std::function<void()>& meanwhile) {
  auto answer = std::async(std::launch::async, [&watch] { return watch.poll(); });
  do {
    meanwhile();
  } while (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready);
  return answer.get();
}

TEST(Watch, AHugeTreeThatMovesInKeepsNobodyWaitingAndHidesNothing) {
  RunningAgent agent;
  LargeTree large(agent, 100, 200);
  ASSERT_TRUE(large.disk.mounted());
  const std::string& root = large.watched;
  Polled watch(agent, {{"path", root}, {"recursive", true}});
  Client client = agent.client();
  ASSERT_EQ(client.request("GET", "/health").status, 204);
  fs::rename(large.tree, root + "/tree");
  int answered = 0;
  Changes wanted = {"CREATE tree"};
  Changes changes = poll_while(watch, [&] {
    if (client.request("GET", "/health").status == 204) ++answered;
    const std::string name = "f" + std::to_string(answered);
    if (answered > 20) return;
    fs::create_directory(root + "/" + name);
    wanted.push_back("CREATE " + name);
  });
  EXPECT_GE(answered, 5) << "20,000 directories are some 80 turns";
  Changes rest = watch.poll();
  changes.insert(changes.end(), rest.begin(), rest.end());
  EXPECT_EQ(changes, wanted);
  // All of it is under watch when its arrival is known.
  for (auto [i, j] : {std::pair(0, 0), std::pair(99, 199), std::pair(50, 7)}) {
    const std::string name = "tree" + LargeTree::place(i, j) + "/x";
    fs::create_directory(root + "/" + name);
    EXPECT_THAT(watch.poll(), ElementsAre("CREATE " + name));
  }
}

TEST(Watch, ATreeThatIsRenamedWhileItIsLookedIntoIsWatchedWhole) {
  RunningAgent agent;
  constexpr int kOuter = 50;
  constexpr int kInner = 200;
  LargeTree large(agent, kOuter, kInner);
  ASSERT_TRUE(large.disk.mounted());
  Polled watch(agent, {{"path", large.watched}, {"recursive", true}});
  std::string name = large.watched + "/tree";
  fs::rename(large.tree, name);
  int renames = 0;
  poll_while(watch, [&] {
    if (renames == 200) return;
    const std::string next = large.watched + "/tree" + std::to_string(++renames);
    fs::rename(name, next);
    name = next;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  watch.poll();
  for (int i = 0; i < kOuter; ++i) {
    for (int j = 0; j < kInner; ++j) {
      fs::create_directory(name + LargeTree::place(i, j) + "/x");
    }
  }
  EXPECT_EQ(watch.poll().size(), static_cast<std::size_t>(kOuter * kInner));
}

TEST(Watch, APolledQueueThatNobodyEmptiesBecomesAnError) {
  RunningAgent agent;
  Polled watch(agent, {{"path", "."}});
  // Longer names fill it sooner; more than the kernel's queue holds at once.
  const std::string name = agent.home() + "/" + std::string(200, 'n');
  for (int i = 0; i < 40000; ++i) {
    ASSERT_EQ(::close(::creat((name + std::to_string(i)).c_str(), 0644)), 0);
    if (i % 5000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  json first = watch.answer();
  EXPECT_EQ(first["code"], "internal");
  EXPECT_EQ(first["message"], "watcher error: fsnotify: queue or buffer overflow");
  EXPECT_EQ(watch.answer(), first) << "for ever";
}

TEST(Watch, NothingIsLeftWhenTheClientsAreGone) {
  RunningAgent agent;
  std::string count = "ls -l /proc/$PPID/fd | grep -c inotify";
  for (int i = 0; i < 20; ++i) {
    Streamed watch(agent, {{"path", "."}});
    ASSERT_TRUE(watch.started());
    watch.close();
  }
  std::string left;
  for (int i = 0; i < 100 && left != "0\n"; ++i) {
    left = agent.start(count).finish().stdout_bytes;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(left, "0\n");
}

}  // namespace
}  // namespace envd_tests
