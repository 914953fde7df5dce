#ifndef DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/epoll.h"
#include "runtime/boot/shim_state.h"

namespace davit {

// A shim's side of its control socket: any number of agents and tools of root,
// each of which gets the state on connect and after every change. Runs on its
// Epoll's thread.
class ControlServer {
 public:
  struct Handlers {
    std::function<void(absl::Duration grace)> stop;
    // Somebody at the console, by a stream socket.
    std::function<void(UniqueFd client)> attach;
    std::function<void(uint16_t rows, uint16_t columns)> resize;
  };

  // `epoll` must outlive this.
  ControlServer(Epoll& epoll, Handlers handlers)
      : epoll_(epoll), handlers_(std::move(handlers)) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;

  // Serves `listener` (ListenForPackets): takes clients with uid 0 only.
  absl::Status Serve(UniqueFd listener);
  // Takes a connected client.
  absl::Status Adopt(UniqueFd client);
  // Sends this encoded state to all, and to whoever connects later. A client
  // that does not read is cut off: it connects again and gets the state.
  void Publish(std::string state);
  bool has_clients() const { return !clients_.empty(); }

 private:
  void Accept();
  void OnReadable(int fd);
  // False if that was nonsense.
  bool Obey(int fd, const ShimCommand& command, UniqueFd passed);
  void Drop(int fd);

  Epoll& epoll_;
  Handlers handlers_;
  UniqueFd listener_;
  std::map<int, UniqueFd> clients_;
  std::string state_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CONTROL_H_
