// What the front door needs to know of sandboxes: is there one, may it be reached, how. Implemented
// by emulator/sandboxes; faked in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "emulator/base/result.h"
#include "emulator/base/unique_fd.h"
#include "emulator/proxy/ingress_rules.h"

namespace emulator::proxy {

// The live client connections of one sandbox lifecycle, so that kill and pause can cut them
// (contract-envd 5.10).
class LiveConnections {
 public:
  using Cut = std::function<void()>;
  enum class Kind {
    kPublic,  // of a client that may have had to show nothing
    kOther,   // of any other client
    kOwn,     // what the front door keeps for itself, without a client
  };

 private:
  struct Entry {
    Cut cut;
    Kind kind;
    std::uint64_t seen;  // the last cut_public() that came by
  };

 public:
  class Registration {
   public:
    Registration() = default;
    Registration(std::shared_ptr<LiveConnections> owner, std::list<Entry>::iterator at)
        : owner_(std::move(owner)), at_(at) {}
    Registration(Registration&& other) noexcept = default;
    Registration& operator=(Registration&& other) noexcept;
    ~Registration();

   private:
    std::shared_ptr<LiveConnections> owner_;
    std::list<Entry>::iterator at_;
  };
  // `cut` ends what goes on over the connection; called again only if it was a cut_public(). Call
  // through a shared_ptr.
  static Registration add(const std::shared_ptr<LiveConnections>& self,
                          Cut cut,
                          Kind kind = Kind::kOther);
  // Cuts those of kind kPublic: the sandbox asks for a token from now on.
  void cut_public();
  // Cuts every connection and refuses later ones (closed() stays true).
  void cut_all();
  // The same as an injected fault: nothing but a reset is seen of it (resets() stays true).
  void reset_all();
  bool closed() const { return closed_; }
  bool resets() const { return resets_; }
  // Called with true when there is one client after none, with false when the last one has left;
  // not by cut_all().
  void on_change(std::function<void(bool connected)> callback) { on_change_ = std::move(callback); }
  // Clients.
  std::size_t size() const { return clients_; }

 private:
  void remove(std::list<Entry>::iterator at);

  std::list<Entry> cuts_;
  std::size_t clients_ = 0;  // of those in cuts_
  std::uint64_t round_ = 0;
  std::function<void(bool connected)> on_change_;
  bool closed_ = false;
  bool resets_ = false;
};

struct SandboxRoute {
  std::string id;
  bool paused = false;
  bool auto_resume = false;                      // paused, but a request makes it go on
  std::shared_ptr<const base::UniqueFd> netns;   // sockets to it are opened in here
  std::string address;                           // eth0, the last one tried
  std::shared_ptr<LiveConnections> connections;  // of the present lifecycle (new after each resume)
  std::shared_ptr<const IngressRules> ingress;   // null: open to everybody, no mask
  // A port whose service is not built yet: answered by 501 instead of being dialled; 0 = none.
  std::uint16_t unbuilt_port = 0;
};

class SandboxDirectory {
 public:
  virtual ~SandboxDirectory() = default;
  // nullopt: unknown or killed.
  virtual std::optional<SandboxRoute> route(std::string_view id) const = 0;
  // Makes a sandbox with auto_resume go on, or waits until somebody else has. kNotFound when it is
  // gone, kResourceExhausted when one more may not run.
  virtual base::Task<> resume(std::string id) = 0;
};

}  // namespace emulator::proxy
