#ifndef DAVIT_RUNTIME_BOOT_SHIM_NOTIFY_H_
#define DAVIT_RUNTIME_BOOT_SHIM_NOTIFY_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What we understand of an sd_notify(3) datagram.
struct NotifyMessage {
  bool ready = false;
  bool stopping = false;
  // Printable, at most 1 KiB; the rest of it is the pod's to say.
  std::optional<std::string> status;
  // X_SYSTEMD_SIGNALS_LEVEL: from 2 on PID 1 handles SIGRTMIN+3.
  int signals_level = 0;
};

NotifyMessage ParseNotify(absl::string_view datagram);

// The pod's notify socket. It must be drained for ever: with ten datagrams
// queued (net.unix.max_dgram_qlen) PID 1 of the pod would block.
class NotifySocket {
 public:
  // Takes messages of the process `init` only, told by SCM_CREDENTIALS.
  NotifySocket(UniqueFd fd, pid_t init) : fd_(std::move(fd)), init_(init) {}

  int fd() const { return fd_.get(); }
  // Reads all that waits and calls `sink` for each message of init.
  void Drain(const std::function<void(const NotifyMessage&)>& sink);

 private:
  UniqueFd fd_;
  pid_t init_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_NOTIFY_H_
