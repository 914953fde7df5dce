#ifndef DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/epoll.h"

namespace davit {

// A shim's side of its control socket: any number of agents and tools of root,
// each of which gets the state on connect and after every change. Runs on its
// Epoll's thread.
class ControlServer {
 public:
  using OnStop = std::function<void(absl::Duration grace)>;

  // `epoll` must outlive this.
  ControlServer(Epoll& epoll, OnStop on_stop)
      : epoll_(epoll), on_stop_(std::move(on_stop)) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;

  // Serves `listener` (ListenForPackets): takes clients with uid 0 only.
  absl::Status Serve(UniqueFd listener);
  // Takes a connected client.
  absl::Status Adopt(UniqueFd client);
  // Sends this encoded state to all, and to whoever connects later. A client
  // that does not read is cut off: it connects again and gets the state.
  void Publish(std::string state);

 private:
  void Accept();
  void OnReadable(int fd);
  void Drop(int fd);

  Epoll& epoll_;
  OnStop on_stop_;
  UniqueFd listener_;
  std::map<int, UniqueFd> clients_;
  std::string state_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_
