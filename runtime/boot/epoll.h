#ifndef DAVIT_RUNTIME_BOOT_EPOLL_H_
#define DAVIT_RUNTIME_BOOT_EPOLL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Calls a function when a descriptor is ready (epoll(7)). One thread only.
// Descriptors stay the caller's and must be removed before they are closed.
class Epoll {
 public:
  using Callback = std::function<void(uint32_t events)>;

  static absl::StatusOr<Epoll> Create();

  // `events` as in epoll_ctl(2): EPOLLIN, with EPOLLET if wanted.
  absl::Status Add(int fd, uint32_t events, Callback callback);
  // Nothing is called for `fd` after this, not even for what is pending. OK to
  // call from a callback, also its own, and for an unknown fd.
  void Remove(int fd);

  // Waits until something is ready, and calls. Returns at the latest after
  // `timeout`, which may be infinite.
  absl::Status Wait(absl::Duration timeout);

 private:
  explicit Epoll(UniqueFd fd) : fd_(std::move(fd)) {}

  struct Entry {
    uint64_t token;
    std::shared_ptr<Callback> callback;
  };
  UniqueFd fd_;
  // A token is never reused, unlike a descriptor's number, so a stale event
  // finds nobody.
  uint64_t next_token_ = 1;
  std::map<int, Entry> entries_;
  std::map<uint64_t, int> fds_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_EPOLL_H_
