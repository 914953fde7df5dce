#ifndef DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_HUB_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_HUB_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/epoll.h"

namespace davit {

// The last bytes of an endless stream, by their position in it.
class ConsoleTail {
 public:
  static constexpr size_t kLimit = 64 << 10;

  void Append(absl::string_view data);
  // What is left from `position` on, which is moved forward to the oldest byte
  // that is kept, if it is older. Valid until the next Append.
  absl::string_view From(uint64_t& position) const;

 private:
  std::string bytes_;   // at most twice the limit, so that few bytes are moved
  uint64_t begin_ = 0;  // position of the first
};

// Those who look at a pod's console, and type. Each is shown the tail and then
// all that comes. Who reads too slowly misses the oldest of it: the pod waits
// for nobody. Runs on its Epoll's thread.
class ConsoleHub {
 public:
  // `epoll` must outlive this; `console` is the non-blocking master.
  ConsoleHub(Epoll& epoll, int console) : epoll_(epoll), console_(console) {}
  ~ConsoleHub();
  ConsoleHub(const ConsoleHub&) = delete;

  // Takes a connected stream socket. What cannot be taken is closed.
  void Add(UniqueFd socket);
  void Show(absl::string_view data);
  // The console may take what was typed again.
  void OnConsoleWritable();

 private:
  struct Client {
    UniqueFd socket;
    uint64_t position = 0;  // of what it is shown next
    std::string typed;      // and not taken by the console yet
    bool typing = true;     // until its end of input
  };

  void OnEvent(int fd, uint32_t events);
  // False if the client has gone.
  bool Send(Client& client);
  bool Receive(Client& client);
  void Drop(int fd);

  Epoll& epoll_;
  const int console_;
  ConsoleTail tail_;
  std::map<int, Client> clients_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_HUB_H_
